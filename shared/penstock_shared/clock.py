"""Wall-clock time as the ledger keeps it: integer milliseconds since 1970, UTC."""

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """The present moment."""
    return time.time_ns() // 1_000_000


def from_datetime(moment: datetime) -> int:
    """Milliseconds since 1970; a datetime without a timezone is taken as local time."""
    return round(moment.timestamp() * 1000)


def to_iso(ms: int) -> str:
    """A moment as people read it, in UTC to the second: 2026-01-31T12:00:00Z."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
