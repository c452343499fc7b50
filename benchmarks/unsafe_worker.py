"""A worker of the drill's kind with safeguards taken out, to see what they cost."""

import os
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from penstock_shared.cli import guarded
from penstock_shared.ledger import settling
from penstock_shared.ledger.settling import Settlement
from penstock_workers.drill.worker import app
from penstock_workers.heartbeat import Heartbeat
from penstock_workers.sweeper import Sweeper

VARIABLE: Final = "PENSTOCK_BENCH_WITHOUT"


def _without_heartbeat() -> None:
    Heartbeat._ask_ledger = lambda _self: None  # type: ignore[method-assign]  # noqa: SLF001


def _without_fencing() -> None:
    def held(_: Connection, settlements: Sequence[Settlement]) -> set[tuple[str, int]]:
        return {(s.claim.job_id, s.claim.fence) for s in settlements}

    settling._held = held  # noqa: SLF001


def _without_outbox() -> None:
    Sweeper.sweep = lambda _self: 0  # type: ignore[method-assign]


SAFEGUARDS: Final[dict[str, Callable[[], None]]] = {
    "heartbeat": _without_heartbeat,
    "fencing": _without_fencing,
    "outbox": _without_outbox,
}

if __name__ == "__main__":
    for name in os.environ.pop(VARIABLE, "").split(","):
        if name:
            SAFEGUARDS[name]()
    guarded(app)
