"""Following a batch: its lines as they end, each once, none missed."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from penstock_producer.batch.ended_line import EndedLine, refused
from penstock_producer.batch.line_set import LineSet
from penstock_shared import clock
from penstock_shared.ledger.batches import lines
from penstock_shared.ledger.batches.lines import Ended
from penstock_shared.ledger.database import Database

_PAGE: Final = 1_000
_FEW: Final = 10  # results at once in memory, until it is known how long they are
_RESULTS: Final = 100
_RESULT_CHARS: Final = 4 * 1024 * 1024  # of all at once, about: a line of vectors may have one
_SKEW_MS: Final = 2_000  # between the clocks of workers, and of commits that are under way
_SLACK_MS: Final = 60_000
_LOOK_BACK_S: Final = 10.0
_BEGINNING: Final = Ended(line=-1, finished_ms=-1)


class Follower:
    """Asks the ledger for lines that have ended, in the order of their ends.

    Workers write moments that may lie before others that are known already: every poll looks back
    two seconds, one in ten seconds a minute, and ``everything`` to the beginning. ``known`` are
    the lines that nobody needs again; what is returned is added to it.
    """

    def __init__(
        self,
        database: Database,
        batch_id: str,
        known: LineSet,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._batch_id = batch_id
        self._known = known
        self._seconds = seconds
        self._newest_ms = -1
        self._refused_upto = 0
        self._looked_back = seconds()
        self._at_once = _FEW

    def poll(self) -> Iterator[list[EndedLine]]:
        """Lines that ended since the last poll. Raises LedgerUnavailable; poll again then."""
        since_ms = min(self._newest_ms, clock.now_ms() - _SKEW_MS)
        if self._seconds() - self._looked_back > _LOOK_BACK_S:
            since_ms = self._newest_ms - _SLACK_MS
            self._looked_back = self._seconds()
        yield from self._ended(Ended(line=-1, finished_ms=since_ms))
        yield from self._refusals()

    def everything(self) -> Iterator[list[EndedLine]]:
        """All lines that have ended and are not known, by a pass over the whole batch."""
        self._refused_upto = 0
        yield from self._ended(_BEGINNING)
        yield from self._refusals()

    def _ended(self, since: Ended) -> Iterator[list[EndedLine]]:
        while page := lines.ended(self._database, self._batch_id, since=since, limit=_PAGE):
            new = {ended.line: ended for ended in page if ended.line not in self._known}
            numbers = sorted(new)
            while numbers:
                some, numbers = numbers[: self._at_once], numbers[self._at_once :]
                found = self._results(some, new)
                self._at_once = _next_count(found, self._at_once)
                yield self._taken(found)
            since = page[-1]
            self._newest_ms = max(self._newest_ms, since.finished_ms)
            if len(page) < _PAGE:
                return

    def _results(self, numbers: Sequence[int], ended: dict[int, Ended]) -> list[EndedLine]:
        found = lines.results(self._database, self._batch_id, numbers)
        return [
            EndedLine(each.line, each.custom_id, ended[each.line].finished_ms, each.result)
            for each in found
            if each.result.status.is_terminal  # it may have been put back meanwhile
        ]

    def _refusals(self) -> Iterator[list[EndedLine]]:
        while page := lines.refusals(
            self._database, self._batch_id, after=self._refused_upto, limit=_PAGE
        ):
            yield self._taken([refused(each) for each in page if each.line not in self._known])
            self._refused_upto = page[-1].line

    def _taken(self, ended: list[EndedLine]) -> list[EndedLine]:
        for each in ended:
            self._known.add(each.line)
        return ended


def _next_count(found: Sequence[EndedLine], count: int) -> int:
    """How many results to read next, if they are as long as those that ``count`` gave."""
    chars = sum(len(each.result.text or "") for each in found if each.result)
    fitting = _RESULT_CHARS * max(1, len(found)) // max(1, chars)
    return max(1, min(_RESULTS, 2 * count, fitting))
