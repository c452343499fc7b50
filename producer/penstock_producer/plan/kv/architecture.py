"""What of a model decides its memory: the KV cache of its layers, and its weights.

Elements are numbers of the KV cache's dtype; parameters are numbers of the checkpoint's dtype.
"""

from enum import StrEnum
from typing import NamedTuple

from penstock_shared.errors import InvalidRequest


class CacheKind(StrEnum):
    """What a layer keeps of each token."""

    HEADS = "heads"  # a key and a value for each KV head
    LATENT = "latent"  # one compressed vector and the rotary key (multi-head latent attention)


class LayerCache(NamedTuple):
    """The KV cache of one layer."""

    kind: CacheKind
    heads: int  # KV heads; 1 where the cache is latent
    width: int  # elements of one key, or of the latent vector with its rotary key
    window: int | None = None  # tokens that a sliding window looks at; None: all

    def elements_per_token(self, tensor_parallel: int) -> int:
        """Elements on one of so many GPUs.

        vLLM divides KV heads among the GPUs, and copies them where there are fewer heads than
        GPUs. A latent cache cannot be divided: every GPU holds all of it.
        """
        if self.kind is CacheKind.LATENT:
            return self.width
        return 2 * self.width * max(1, self.heads // tensor_parallel)


class Matrix(NamedTuple):
    """Linear layers of one shape, which quantization makes smaller."""

    outputs: int
    inputs: int
    number: int

    @property
    def parameters(self) -> int:
        """Parameters of all of them."""
        return self.outputs * self.inputs * self.number


class Weights(NamedTuple):
    """The parameters of a model: linear layers, and all that stays in 16 bits.

    These others are embeddings and output head, norms, biases, routers and vision towers.
    """

    matrices: tuple[Matrix, ...]
    others: int

    @property
    def quantizable(self) -> int:
        """Parameters of linear layers."""
        return sum(matrix.parameters for matrix in self.matrices)

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.quantizable + self.others


class Architecture(NamedTuple):
    """What a config.json says of a model's memory."""

    family: str  # its model_type
    layers: tuple[LayerCache, ...]
    query_heads: int
    weights: Weights
    dtype: str  # fp16, bf16 or fp32
    max_positions: int | None  # tokens that the model was made for

    def check_devices(self, tensor_parallel: int) -> None:
        """Raise InvalidRequest where vLLM cannot divide the heads among so many GPUs."""
        heads = max(layer.heads for layer in self.layers)
        latent = self.layers[0].kind is CacheKind.LATENT
        is_even = latent or heads % tensor_parallel == 0 or tensor_parallel % heads == 0
        if self.query_heads % tensor_parallel or not is_even:
            raise InvalidRequest(
                f"{self.query_heads} attention heads with {heads} KV heads cannot be divided "
                f"among {tensor_parallel} GPUs; --tensor-parallel must divide the attention heads, "
                "and divide the KV heads or be a multiple of them"
            )

    def describe(self) -> str:
        """Its attention in words, such as 80 layers, 8 KV heads of 128 for 64 query heads."""
        first = self.layers[0]
        if first.kind is CacheKind.LATENT:
            text = f"multi-head latent attention, {first.width} elements"
        else:
            text = f"{_attention(first.heads, self.query_heads)}, {first.heads} KV heads "
            text += f"of {first.width} for {self.query_heads} query heads"
        windows = [layer.window for layer in self.layers if layer.window is not None]
        if windows:
            text += f", {len(windows)} layers with a window of {windows[0]:,} tokens"
        return f"{len(self.layers)} layers, {text}"


def _attention(kv_heads: int, query_heads: int) -> str:
    if kv_heads == query_heads:
        return "multi-head attention"
    return "multi-query attention" if kv_heads == 1 else "grouped-query attention"
