"""Wall-clock time as the ledger keeps it: integer milliseconds since 1970, UTC."""

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """The present moment."""
    return time.time_ns() // 1_000_000


def to_datetime(moment_ms: int) -> datetime:
    """A timezone-aware datetime in UTC."""
    return datetime.fromtimestamp(moment_ms / 1000, tz=UTC)


def from_datetime(moment: datetime) -> int:
    """Milliseconds since 1970; a datetime without a timezone is taken as local time."""
    return round(moment.timestamp() * 1000)
