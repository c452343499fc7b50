"""Which fault happens when, and to which worker: a function of the seed."""

import random
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

_SECONDS_PER_FAULT: Final = 3.5
_FIRST_S: Final = 2.0
_RECOVERY_S: Final = 3.0  # a worker that was hurt is left alone for so long, if another is there


class FaultKind(StrEnum):
    """What the drill does to the stack."""

    KILL_WORKER = "kill_worker"
    KILL_ENGINE = "kill_engine"
    KILL_REDIS = "kill_redis"
    KILL_SWEEPER = "kill_sweeper"
    FREEZE_WORKER = "freeze_worker"
    DROP_CONNECTIONS = "drop_connections"
    FLUSH_REDIS = "flush_redis"
    STOP_DATABASE = "stop_database"
    TERM_THEN_KILL = "term_then_kill"
    LOSE_MESSAGE = "lose_message"

    @property
    def hurts_worker(self) -> bool:
        """True when its target is one worker that was chosen beforehand."""
        return self in _OF_ONE_WORKER


_OF_ONE_WORKER: Final = {
    FaultKind.KILL_WORKER,
    FaultKind.KILL_ENGINE,
    FaultKind.FREEZE_WORKER,
    FaultKind.TERM_THEN_KILL,
    FaultKind.LOSE_MESSAGE,
}


class PlannedFault(NamedTuple):
    """A fault, its moment, the worker it is meant for, and how long it lasts."""

    at_s: float
    kind: FaultKind
    worker: int
    lasts_s: float

    @property
    def ends_s(self) -> float:
        """When it is over."""
        return self.at_s + self.lasts_s


def usual_count(seconds: float) -> int:
    """How many faults a drill of this length has."""
    return max(1, round(seconds / _SECONDS_PER_FAULT))


def schedule_faults(
    *,
    seed: int,
    seconds: float,
    count: int,
    workers: int,
    lease_s: float,
    kinds: Sequence[FaultKind] = tuple(FaultKind),
) -> list[PlannedFault]:
    """Faults in the order of time, spread over the drill, each over before it ends.

    Every kind comes once before one comes twice.
    """
    dice = random.Random(f"faults {seed}")
    first_s = min(_FIRST_S, seconds / 10)
    slot_s = (seconds - first_s) / max(1, count)
    planned: list[PlannedFault] = []
    for number, kind in zip(range(count), _dealt(kinds, dice), strict=False):
        lasts_s = min(_duration(kind, lease_s, dice), seconds)
        at_s = first_s + slot_s * (number + dice.random())
        at_s = round(max(0.0, min(at_s, seconds - lasts_s)), 3)
        worker = _victim(at_s, planned, workers, dice)
        planned.append(PlannedFault(at_s, kind, worker, round(lasts_s, 3)))
    return sorted(planned)


def _dealt(kinds: Sequence[FaultKind], dice: random.Random) -> Iterator[FaultKind]:
    while kinds:
        deck = list(kinds)
        dice.shuffle(deck)
        yield from deck


def _duration(kind: FaultKind, lease_s: float, dice: random.Random) -> float:
    match kind:
        case FaultKind.FREEZE_WORKER:
            return lease_s + dice.uniform(3.0, 6.0)  # time enough for a sweep and for another run
        case FaultKind.KILL_REDIS:
            return dice.uniform(0.2, 3.0)
        case FaultKind.STOP_DATABASE:
            return dice.uniform(2.0, 6.0)
        case FaultKind.TERM_THEN_KILL:
            return dice.uniform(0.2, 2.0)
        case FaultKind.LOSE_MESSAGE:
            return dice.uniform(0.3, 1.0)
        case _:
            return 0.0


def _victim(at_s: float, planned: Sequence[PlannedFault], workers: int, dice: random.Random) -> int:
    """A worker that is well by then; if there is none, any."""
    hurt = {p.worker for p in planned if p.kind.hurts_worker and at_s < p.ends_s + _RECOVERY_S}
    well = [worker for worker in range(workers) if worker not in hurt]
    return dice.choice(well or range(workers))
