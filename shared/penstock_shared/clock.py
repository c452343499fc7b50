"""Wall-clock time as the ledger keeps it: integer milliseconds since 1970, UTC."""

import time
from datetime import datetime


def now_ms() -> int:
    """The present moment."""
    return time.time_ns() // 1_000_000


def from_datetime(moment: datetime) -> int:
    """Milliseconds since 1970; a datetime without a timezone is taken as local time."""
    return round(moment.timestamp() * 1000)
