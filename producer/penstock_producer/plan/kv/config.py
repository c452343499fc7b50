"""A config.json, read key by key: what is missing or strange is refused, never guessed."""

from collections.abc import Mapping
from typing import Any, Final

from penstock_shared.errors import InvalidRequest

# Each of these changes what is kept of a token in a way that we do not know.
_STRANGE: Final = (
    "attention_chunk_size",
    "block_configs",
    "cross_attention_layers",
    "dual_chunk_attention_config",
    "full_attention_interval",
    "hybrid_override_pattern",
    "index_topk",
    "layers_block_type",
    "linear_num_key_heads",
    "mamba_d_state",
    "num_kv_shared_layers",
    "sparse_attention_config",
    "ssm_cfg",
)
_DTYPES: Final = {
    "bfloat16": "bf16", "float16": "fp16", "float32": "fp32", "half": "fp16", "float": "fp32",
}  # fmt: skip


class Config:
    """The values of a config.json; ``defaults`` are those that transformers has for the family."""

    def __init__(self, values: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        self._values = values
        self._defaults = defaults
        for key in _STRANGE:
            if values.get(key):
                raise InvalidRequest(
                    f"config.json has {key!r}, which changes the KV cache in a way that this "
                    "plan does not know; measure the model with vLLM instead"
                )

    def get(self, key: str) -> Any:
        """The value, or the family's default, or None."""
        value = self._values.get(key)
        return self._defaults.get(key) if value is None else value

    def number(self, key: str, otherwise: int | None = None) -> int:
        """A whole number above 0. Raises InvalidRequest."""
        value = self.get(key)
        value = otherwise if value is None else value
        if value is None:
            raise InvalidRequest(f"config.json says nothing of {key!r}")
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InvalidRequest(f"config.json: {key!r} is {value!r}, and must be a number above 0")
        return value

    def optional(self, key: str) -> int | None:
        """A whole number above 0, or None where there is none or 0."""
        return self.number(key) if self.get(key) else None

    def flag(self, key: str) -> bool:
        """True or false; false where neither it nor its family says."""
        return bool(self.get(key))

    @property
    def head_dim(self) -> int:
        """Elements of one head."""
        hidden, heads = self.number("hidden_size"), self.number("num_attention_heads")
        if self.get("head_dim") is None and hidden % heads:
            raise InvalidRequest(
                f"config.json: hidden_size {hidden} is no multiple of {heads} heads"
            )
        return self.number("head_dim", hidden // heads)

    @property
    def kv_heads(self) -> int:
        """Heads with a key and a value of their own; all of them where nothing else is said."""
        return self.number("num_key_value_heads", self.number("num_attention_heads"))

    @property
    def dtype(self) -> str:
        """The dtype of the checkpoint: bf16, fp16 or fp32."""
        named = str(self.get("dtype") or self.get("torch_dtype") or "bfloat16")
        if named.removeprefix("torch.") not in _DTYPES:
            raise InvalidRequest(f"config.json: dtype {named!r} is unknown")
        return _DTYPES[named.removeprefix("torch.")]
