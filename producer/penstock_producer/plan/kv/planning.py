"""The plan of a model's memory: weights, KV cache, and how many requests fit at once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from penstock_producer.plan.kv.architecture import Architecture
from penstock_producer.plan.kv.cache import KV_BYTES, KvCache
from penstock_producer.plan.kv.checkpoint import Checkpoint, read_checkpoint
from penstock_producer.plan.kv.families import read_architecture
from penstock_producer.plan.kv.sources import Source, find_config
from penstock_producer.plan.kv.weights import DEFAULT_GROUP, QUANTIZATIONS, weights_bytes
from penstock_shared.errors import InvalidRequest

GIB: Final = 2**30
_CONTEXTS: Final = (2_048, 8_192, 32_768, 131_072)
_SURPRISE: Final = 0.01  # from here on, a checkpoint and its config.json tell different stories


class Gpu(NamedTuple):
    """What there is of memory on each GPU, and what of it the engine may take."""

    memory_bytes: int
    share: float
    reserve_bytes: int  # activations and CUDA graphs: an assumption

    @property
    def usable_bytes(self) -> int:
        """For weights and KV cache."""
        return max(0, int(self.memory_bytes * self.share) - self.reserve_bytes)


class Row(NamedTuple):
    """One context length."""

    context: int
    kv_bytes_per_request: int  # on all GPUs together
    max_concurrent: dict[str, int] | None  # for each format of the weights; None without a GPU


class KvPlan(NamedTuple):
    """The answer of ``penstock plan kv``."""

    model: str
    source: str
    architecture: Architecture
    parameters: int
    parameters_from: str
    kv_dtype: str
    tensor_parallel: int
    kv_bytes_per_token: int
    weights_bytes: dict[str, int]
    gpu: Gpu | None
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


class Question(NamedTuple):
    """What is asked of a model."""

    contexts: Sequence[int] = ()  # none: some that the model was made for
    kv_dtype: str = "auto"
    tensor_parallel: int = 1
    gpu: Gpu | None = None
    in_flight: int = 1
    group: int = DEFAULT_GROUP


def plan_kv(model: str, question: Question) -> KvPlan:
    """Answer for a folder, a config.json or a hub name. Raises InvalidRequest."""
    source = find_config(model)
    architecture = read_architecture(source.config)
    architecture.check_devices(question.tensor_parallel)
    checkpoint = _checkpoint_of(source, architecture)
    counted = architecture.weights.parameters
    stored = checkpoint.parameters if checkpoint is not None else None
    others = architecture.weights.others + (stored or counted) - counted
    if others < 0:
        raise InvalidRequest(
            f"the checkpoint of {model} holds {stored:,} parameters and its config.json describes "
            f"{counted:,}: they do not belong together"
        )
    weights = architecture.weights._replace(others=others)
    sizes = {name: weights_bytes(weights, name, question.group) for name in QUANTIZATIONS}
    if checkpoint is not None:
        sizes["stored"] = checkpoint.stored_bytes
    contexts = question.contexts or _usual_contexts(architecture)
    cache = KvCache(architecture, _kv_dtype(question, architecture), question.tensor_parallel)
    return KvPlan(
        model=model,
        source=source.origin,
        architecture=architecture,
        parameters=weights.parameters,
        parameters_from="config.json" if stored is None else "safetensors",
        kv_dtype=cache.dtype,
        tensor_parallel=question.tensor_parallel,
        kv_bytes_per_token=cache.bytes_per_token,
        weights_bytes=sizes,
        gpu=question.gpu,
        rows=tuple(_row(context, cache, sizes, question) for context in contexts),
        notes=tuple(_notes(architecture, max(contexts), stored)),
    )


def fits_at_once(cache: KvCache, gpu: Gpu, weights: int, context: int, in_flight: int = 1) -> int:
    """Requests of ``context`` tokens whose whole KV cache is in memory beside the weights.

    Weights are divided among the GPUs. vLLM keeps one block for itself.
    """
    room = gpu.usable_bytes - -(-weights // cache.tensor_parallel)
    blocks = max(0, room) // cache.bytes_per_block - 1
    return max(0, blocks) // cache.need(context, in_flight).blocks


def _row(context: int, cache: KvCache, sizes: dict[str, int], question: Question) -> Row:
    need, gpu = cache.need(context, question.in_flight), question.gpu
    fits = gpu and {
        name: fits_at_once(cache, gpu, size, context, question.in_flight)
        for name, size in sizes.items()
    }
    return Row(context, need.bytes_per_gpu * cache.tensor_parallel, fits)


def _kv_dtype(question: Question, architecture: Architecture) -> str:
    dtype = architecture.dtype if question.kv_dtype == "auto" else question.kv_dtype
    if dtype not in KV_BYTES:
        raise InvalidRequest(
            f"--kv-dtype {dtype!r} is not known; write auto, {', '.join(KV_BYTES)}"
        )
    return dtype


def _checkpoint_of(source: Source, architecture: Architecture) -> Checkpoint | None:
    if source.folder is None:
        return None
    is_quantized = bool(source.config.get("quantization_config"))
    return read_checkpoint(
        Path(source.folder), KV_BYTES[architecture.dtype], is_quantized=is_quantized
    )


def _usual_contexts(architecture: Architecture) -> Sequence[int]:
    longest = architecture.max_positions
    if longest is None:
        return _CONTEXTS
    return [*[context for context in _CONTEXTS if context < longest][-3:], longest]


def _notes(architecture: Architecture, context: int, stored: int | None) -> list[str]:
    notes = []
    longest = architecture.max_positions
    if longest is not None and context > longest:
        notes.append(f"the model was made for {longest:,} tokens: more is arithmetic only")
    counted = architecture.weights.parameters
    if stored is not None and abs(stored - counted) > _SURPRISE * counted:
        notes.append(
            f"the checkpoint holds {stored:,} parameters and config.json describes {counted:,}; "
            "the difference is taken as 16 bits (layers for drafting, a second copy of a tied head)"
        )
    return notes
