"""The time zone of a report. Moments are milliseconds since 1970."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from penstock_shared import clock
from penstock_shared.errors import InvalidRequest
from penstock_shared.ledger.reporting.facts import DAY_MS, Offset
from penstock_shared.ledger.reporting.read import Span

_EPOCH: Final = date(1970, 1, 1)
_SECOND_MS: Final = 1000


def moment(text: str | None, option: str, zone: ZoneInfo) -> int | None:
    """Read a moment; without a zone of its own it is of the report's. Raises InvalidRequest."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return clock.from_datetime(found if found.tzinfo else found.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{option}: {text!r} is no moment; write 2026-11-23 or 2026-11-23T18:00:00Z"
        ) from None


def offsets(span: Span, zone: ZoneInfo) -> list[Offset]:
    """How far local time is ahead of UTC, from when on, in all of a span."""
    found = [Offset(span.first_ms, _offset(span.first_ms, zone))]
    for begin in range(span.first_ms, span.last_ms, DAY_MS):
        end = min(begin + DAY_MS, span.last_ms)
        if _offset(end, zone) != found[-1].offset_ms:
            change = _change(begin, end, zone)
            found.append(Offset(change, _offset(change, zone)))
    return found


def day_text(day: int) -> str:
    """A day as the ledger's facts count it: 2026-11-23."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def local_text(ms: int, zone: ZoneInfo) -> str:
    """A moment in the zone, to the second."""
    return datetime.fromtimestamp(ms // _SECOND_MS, zone).strftime("%Y-%m-%d %H:%M:%S")


def days_between(first: int, last: int) -> Iterator[int]:
    """All days from one to the other, those on which nothing was charged too."""
    yield from range(first, last + 1)


def _offset(ms: int, zone: ZoneInfo) -> int:
    ahead = datetime.fromtimestamp(ms / _SECOND_MS, UTC).astimezone(zone).utcoffset()
    return round((ahead or timedelta()).total_seconds() * _SECOND_MS)


def _change(before: int, after: int, zone: ZoneInfo) -> int:
    """The first moment of the new offset, between two that differ."""
    old = _offset(before, zone)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(middle, zone) == old:
            before = middle
        else:
            after = middle
    return after
