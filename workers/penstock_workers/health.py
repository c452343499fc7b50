"""Health: tests that a worker makes progress, not that a process exists."""

import json
import os
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

_MAX_AGE_S: Final = 10.0
_MAX_STALL_S: Final = 60.0


class Health(NamedTuple):
    """The verdict over one worker, and the sentence that explains it."""

    healthy: bool
    reason: str
    sign: dict[str, Any]


def health_file(home: Path, tier: str, pid: int) -> Path:
    """Where a worker writes its sign of life."""
    folder = home / "health"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"{tier}-{pid}.json"


def check(home: Path, tier: str | None) -> list[Health]:
    """All workers of this home (and tier) that ever wrote a sign of life and did not end well."""
    signs = sorted((home / "health").glob("*-*.json"))
    found = {p: _judge(p) for p in signs if tier in {None, p.stem.rpartition("-")[0]}}
    for path, health in found.items():
        if _is_left_behind(health):
            path.unlink(missing_ok=True)
    return [health for health in found.values() if not _is_left_behind(health)]


def _is_left_behind(health: Health) -> bool:
    """True for the sign of life of a process that was killed: there is no worker to judge."""
    if "pid" not in health.sign:
        return False
    try:
        os.kill(health.sign["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _judge(path: Path) -> Health:
    try:
        sign = json.loads(path.read_text(encoding="utf-8"))
        age_s = time.time() - sign["at_ms"] / 1000
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Health(healthy=False, reason=f"no readable sign of life: {error}", sign={})
    if age_s > _MAX_AGE_S:
        return Health(healthy=False, reason=f"silent for {age_s:.0f} s", sign=sign)
    if sign["no_progress_s"] > _MAX_STALL_S:
        stalled = f"{sign['held']} jobs and no progress for {sign['no_progress_s']:.0f} s"
        return Health(healthy=False, reason=stalled, sign=sign)
    if sign["broker_silent_s"] > _MAX_STALL_S:
        silent = f"it takes no jobs: no word from the broker for {sign['broker_silent_s']:.0f} s"
        return Health(healthy=False, reason=silent, sign=sign)
    return Health(healthy=True, reason=f"{sign['held']} jobs in hand", sign=sign)
