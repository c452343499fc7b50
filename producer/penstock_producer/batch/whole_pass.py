"""All lines of a batch that have ended, in the order of their numbers."""

import heapq
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from penstock_producer.batch.ended_line import EndedLine, refused
from penstock_shared.ledger.batches import lines
from penstock_shared.ledger.database import Database

_PAGE: Final = 100  # with their prompts


def all_ended(database: Database, batch_id: str) -> Iterator[EndedLine]:
    """Each line with its result or refusal; in pages, so that memory does not grow."""
    jobs, refusals = _jobs(database, batch_id), _refusals(database, batch_id)
    return heapq.merge(jobs, refusals, key=lambda ended: ended.line)


def row_finder(
    rows: Iterator[tuple[int, dict[str, Any]]],
) -> Callable[[EndedLine], Mapping[str, Any]]:
    """Gives the row of each line, when asked in the order of their numbers."""
    number, values = 0, dict[str, Any]()

    def row_of(ended: EndedLine) -> Mapping[str, Any]:
        nonlocal number, values
        while number < ended.line:
            number, values = next(rows, (1 << 62, {}))
        return values if number == ended.line else {}

    return row_of


def _jobs(database: Database, batch_id: str) -> Iterator[EndedLine]:
    after = 0
    while page := lines.ended_numbers(database, batch_id, after=after, limit=_PAGE):
        moments = dict(page)
        for each in lines.results(database, batch_id, list(moments)):
            if each.result.status.is_terminal:
                yield EndedLine(each.line, each.custom_id, moments[each.line], each.result)
        after = page[-1].line


def _refusals(database: Database, batch_id: str) -> Iterator[EndedLine]:
    after = 0
    while page := lines.refusals(database, batch_id, after=after):
        yield from map(refused, page)
        after = page[-1].line
