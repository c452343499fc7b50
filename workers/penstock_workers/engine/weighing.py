"""What each request weighs in a step of vLLM, by the rule of the tier.

``kv``: the tokens that it holds in the KV cache, a shared block divided among those that share it.
``computed``: the tokens that were computed for it in the step. docs/costs.md compares the two.

vLLM's scheduler is passed in, so that nothing is imported here. What is read is mostly what the
scheduler said about the step; its own objects are cold, and looking at 64 of them at each step
would cost as much as the rest of metering.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from penstock_shared.words import Metering

# A weight is an integer number of these parts of a token: 1 to 16 requests can share a block
# without rounding, and for more of them it is less than a millionth of a token in each.
PARTS: Final = 720_720


class Scale(Protocol):
    """One engine's way to weigh."""

    def weigh(self, step: Any, inside: Mapping[str, Any]) -> dict[str, int]:
        """Weights of the requests ``inside`` in a step that was computed, before any of them left.

        ``step`` is vLLM's SchedulerOutput.
        """


def scale_for(scheduler: Any, rule: Metering) -> Scale:
    """The scale of a rule for the engine of this scheduler."""
    return KvScale(scheduler) if rule is Metering.KV else ComputedScale()


class ComputedScale:
    """By tokens computed in the step: of the prompt, or one in decoding, or those of a draft."""

    def weigh(self, step: Any, inside: Mapping[str, Any]) -> dict[str, int]:
        """The weights of one step; a request that waited in it weighs nothing."""
        return {i: n for i, n in step.num_scheduled_tokens.items() if i in inside}


class KvScale:
    """By tokens held, in parts. Remembers what it saw, because a step tells only what is new."""

    def __init__(self, scheduler: Any) -> None:
        self._table = _block_table(scheduler)
        self._looks = 1 + 2 * bool(getattr(scheduler, "defer_block_free", False))
        self._tokens: dict[str, int] = {}
        self._saved: dict[str, int] = {}  # parts of tokens of shared blocks that others bear
        self._to_look = 0

    def weigh(self, step: Any, inside: Mapping[str, Any]) -> dict[str, int]:
        """The weights of one step; a request that was preempted holds nothing."""
        tokens = self._tokens
        preempted = step.preempted_req_ids or ()
        for request_id in preempted:
            tokens.pop(request_id, None)
        may_share = self._take(step)
        left = tokens.keys() - inside.keys()
        for request_id in left:
            del tokens[request_id]
        if may_share or (self._saved and (left or preempted)):
            self._to_look = self._looks
        if self._to_look and self._table is not None:
            self._to_look -= 1
            self._saved = saved_by_sharing(tokens, *self._table)
        saved = self._saved
        if not saved:
            return dict(tokens)
        return {i: max(0, n * PARTS - saved.get(i, 0)) for i, n in tokens.items()}

    def _take(self, step: Any) -> bool:
        """Note how many tokens are held; True when somebody began with blocks of others."""
        tokens, computed, may_share = self._tokens, step.num_scheduled_tokens, False
        known = step.scheduled_cached_reqs
        for request_id, held in zip(known.req_ids, known.num_computed_tokens, strict=True):
            tokens[request_id] = held + computed.get(request_id, 0)
        for new in step.scheduled_new_reqs:
            tokens[new.req_id] = new.num_computed_tokens + computed.get(new.req_id, 0)
            may_share = may_share or new.num_computed_tokens > 0
        return may_share or bool(known.resumed_req_ids)


class _Shared(NamedTuple):
    """The shared beginning of a block table."""

    end: int  # blocks
    last: Any  # the last of them
    saved: int  # parts of tokens that others bear


def saved_by_sharing(
    request_ids: Mapping[str, Any], tables: Mapping[str, Sequence[Any]], block_tokens: int
) -> dict[str, int]:
    """For each request that shares blocks, how much of them others bear, in parts of tokens.

    Blocks are shared from the beginning of a table on, and the further from it the fewer share one.
    """
    saved = {}
    known: dict[int, _Shared] = {}  # by the first block
    for request_id in request_ids:
        blocks = tables.get(request_id)
        if not blocks or blocks[0].ref_cnt <= 1 or blocks[0].is_null:
            continue
        shared = known.get(blocks[0].block_id)
        if shared is None or not _begins_with(blocks, shared.end, shared.last):
            shared = known[blocks[0].block_id] = _shared(blocks, block_tokens)
        saved[request_id] = shared.saved
    return saved


def _begins_with(blocks: Sequence[Any], end: int, last: Any) -> bool:
    """True when the shared part of this table is one that we know already."""
    length = len(blocks)
    return length >= end and blocks[end - 1] is last and (length == end or blocks[end].ref_cnt <= 1)


def _shared(blocks: Sequence[Any], block_tokens: int) -> _Shared:
    saved = end = 0
    while end < len(blocks) and (holders := blocks[end].ref_cnt) > 1:
        begin, end = end, bisect_right(blocks, -holders, end, key=_rarity)
        saved += (end - begin) * block_tokens * (PARTS - PARTS // holders)
    return _Shared(end, blocks[end - 1], saved)


def _rarity(block: Any) -> int:
    return -int(block.ref_cnt)


def _block_table(scheduler: Any) -> tuple[Mapping[str, Sequence[Any]], int] | None:
    """The blocks of each request and their size, where blocks can be shared and are never let go.

    None without prefix caching, and for models that keep a window or a state instead of all tokens.
    """
    manager = scheduler.kv_cache_manager
    if not manager.enable_caching:
        return None
    for group in manager.coordinator.single_type_managers:
        if type(group).__name__ == "FullAttentionManager":
            return group.req_to_blocks, group.block_size
    return None
