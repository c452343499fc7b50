"""Why a batch is paused, whether its own command may let it go on, and whether it stands still."""

from typing import Final

from penstock_shared.ledger.batches.lines import Counts
from penstock_shared.ledger.batches.records import BatchRecord
from penstock_shared.words import BatchState

INTERRUPTED: Final = "its command was interrupted"
INPUT_CHANGED: Final = "its input changed while it was loaded"
BY_OPERATOR: Final = "by an operator"
_MONEY: Final = "max cost"  # in what the backlog writes when it is spent


def has_spent_all(record: BatchRecord) -> bool:
    """Whether it is paused because its money is not enough for one more line."""
    return record.state is BatchState.PAUSED and _MONEY in (record.stopped_by or "")


def may_go_on(record: BatchRecord, max_cost_pusd: int | None) -> bool:
    """Whether a paused batch goes on when its command is started again.

    What an operator paused stays so until he resumes it. When its money is spent, it needs more;
    ``max_cost_pusd`` is the limit that is given now.
    """
    if record.state is not BatchState.PAUSED or record.stopped_by in (None, BY_OPERATOR):
        return False
    if has_spent_all(record):
        return max_cost_pusd is not None and max_cost_pusd > (record.max_cost_pusd or 0)
    return True


def is_at_rest(record: BatchRecord, counts: Counts, *, is_loading: bool) -> bool:
    """Whether no more lines will end by themselves; ``is_loading``: this process adds some."""
    if record.state is BatchState.PAUSED:
        return not counts.running
    if is_loading:
        return False
    if record.state is BatchState.CANCELLED:
        return not counts.running and not counts.queued
    return counts.ended >= record.total
