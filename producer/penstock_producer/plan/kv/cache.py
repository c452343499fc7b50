"""How much KV cache a request takes, in the blocks in which vLLM hands it out.

vLLM puts layers that see the same tokens into groups of one size. Every group has blocks of its
own for a request, and all blocks are equally large, so a group that is short of layers is padded.
(vLLM: v1/core/kv_cache_utils.py, _get_kv_cache_groups_uniform_page_size.)
"""

from collections import Counter
from typing import Final, NamedTuple

from penstock_producer.plan.kv.architecture import Architecture
from penstock_shared.errors import InvalidRequest

BLOCK_TOKENS: Final = 16
KV_BYTES: Final = {"fp16": 2, "bf16": 2, "fp8": 1, "fp32": 4}
_MOST_PADDED: Final = 1.5  # vLLM pads the smaller kind up to the larger one below this ratio


class Need(NamedTuple):
    """What one request takes."""

    blocks: int
    bytes_per_gpu: int


class KvCache(NamedTuple):
    """The KV cache of an engine."""

    architecture: Architecture
    dtype: str  # a key of KV_BYTES
    tensor_parallel: int = 1
    block_tokens: int = BLOCK_TOKENS

    @property
    def bytes_per_token_per_gpu(self) -> int:
        """What one more token takes in all layers, as long as it is in every window."""
        layers = self.architecture.layers
        return KV_BYTES[self.dtype] * sum(
            layer.elements_per_token(self.tensor_parallel) for layer in layers
        )

    @property
    def bytes_per_token(self) -> int:
        """The same on all GPUs together, copies of heads included."""
        return self.tensor_parallel * self.bytes_per_token_per_gpu

    @property
    def bytes_per_block(self) -> int:
        """One block of one group on one GPU: all its layers, so many tokens."""
        pages = {
            layer.elements_per_token(self.tensor_parallel) for layer in self.architecture.layers
        }
        if len(pages) > 1:
            raise InvalidRequest(
                "layers that keep different amounts of a token are not known to this plan"
            )
        return pages.pop() * KV_BYTES[self.dtype] * self.block_tokens * self._group_size

    @property
    def groups(self) -> dict[int | None, int]:
        """How many groups there are for each window; None stands for no window."""
        return {window: -(-n // self._group_size) for window, n in self._layers.items()}

    def need(self, context: int, in_flight: int = 1) -> Need:
        """What a request of so many tokens, prompt and answer, takes on each GPU.

        A window keeps the tokens that it looks at and those ``in_flight``, which a step has not
        settled yet: one where an answer is written, up to vLLM's max_num_batched_tokens for each
        step under way where a prompt is read.
        """
        whole = -(-context // self.block_tokens)
        blocks = 0
        for window, groups in self.groups.items():
            held = whole if window is None else self._held(window, in_flight)
            blocks += groups * min(whole, held)
        return Need(blocks, blocks * self.bytes_per_block)

    def _held(self, window: int, in_flight: int) -> int:
        # One more, because a window need not begin where a block begins.
        return -(-(window - 1 + in_flight) // self.block_tokens) + 1

    @property
    def _layers(self) -> Counter[int | None]:
        return Counter(layer.window for layer in self.architecture.layers)

    @property
    def _group_size(self) -> int:
        least, most = min(self._layers.values()), max(self._layers.values())
        return most if most < least * _MOST_PADDED else least
