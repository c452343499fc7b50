"""Job ids: UUIDs of version 7 (RFC 9562), so that ids made later sort later."""

import os
import time
import uuid
from typing import Final

MAX_JOB_ID_CHARS: Final = 64  # a foreign Celery task brings its own id


def new_job_id() -> str:
    """A new id, 36 characters, ordered by creation time to the millisecond."""
    moment = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10))
    value = (moment & (2**48 - 1)) << 80 | 0x7 << 76 | (random >> 64 & 0xFFF) << 64
    return str(uuid.UUID(int=value | 0b10 << 62 | random & (2**62 - 1)))
