"""A line of a batch that has ended, however it ended."""

from typing import NamedTuple

from penstock_shared.ledger.batches.entering import Refusal
from penstock_shared.result import Result
from penstock_shared.words import JobState


class EndedLine(NamedTuple):
    """A line with its result, or with why it was refused before anything was spent.

    ``finished_ms`` is a moment in milliseconds since 1970, of a refused line 0.
    """

    line: int
    custom_id: str | None
    finished_ms: int
    result: Result | None
    refusal: Refusal | None = None

    @property
    def is_failed(self) -> bool:
        """Whether there is no answer."""
        return self.result is None or self.result.status is not JobState.SUCCEEDED

    @property
    def error(self) -> str | None:
        """Why there is no answer, in one line."""
        if self.refusal is not None:
            return f"{self.refusal.code}: {self.refusal.message}"
        if self.result is None or not self.is_failed:
            return None
        return f"{self.result.status.value}: {self.result.error or 'no reason kept'}"


def refused(refusal: Refusal) -> EndedLine:
    """A refused line. A duplicate has no custom_id: that one belongs to the first line with it."""
    custom_id = None if refusal.code == "duplicate_custom_id" else refusal.custom_id
    return EndedLine(refusal.line, custom_id, 0, None, refusal)
