"""Sabotages: faults put into this process, so that it can be seen that the drill finds them.

Nothing in production knows of them: they replace functions from outside, in a worker of the drill.
"""

from collections.abc import Callable, Iterable, Sequence
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, delete, select

from penstock_shared.broker import Wakeup
from penstock_shared.errors import SettingsError
from penstock_shared.ledger import claiming, settling, sweeping
from penstock_shared.ledger.budgeting import Reservation
from penstock_shared.ledger.claiming import Claim
from penstock_shared.ledger.schema import Charge, Job, JobResult
from penstock_shared.ledger.settling import Account, Settlement


def apply(names: Iterable[str]) -> None:
    """Break these parts of this process. Raises SettingsError for a name that is not known."""
    for name in names:
        if name not in SABOTAGES:
            known = ", ".join(SABOTAGES)
            raise SettingsError(f"there is no sabotage {name!r}; there are {known}")
        SABOTAGES[name]()


def _without_fencing() -> None:
    """Let every settlement through, whoever holds the job by now, and over what stands there."""
    record = settling._record  # noqa: SLF001 - a sabotage needs no door

    def held(
        connection: Connection, settlements: Sequence[Settlement]
    ) -> dict[tuple[str, int], Reservation | None]:
        wanted = {(s.claim.job_id, s.claim.fence) for s in settlements}
        job_ids = {job_id for job_id, _ in wanted}
        rows = connection.execute(
            select(Job.id).where(Job.id.in_(job_ids)).order_by(Job.id).with_for_update()
        )
        known = set(rows.scalars())
        return {(job_id, fence): None for job_id, fence in wanted if job_id in known}

    def over(
        connection: Connection, account: Account, settlements: Sequence[Settlement], now_ms: int
    ) -> None:
        job_ids = [s.claim.job_id for s in settlements]
        for table in (JobResult, Charge):
            connection.execute(delete(table).where(table.job_id.in_(job_ids)))
        record(connection, account, settlements, now_ms)

    settling._held = held  # noqa: SLF001
    settling._record = over  # noqa: SLF001


def _without_heartbeat() -> None:
    """Renew no lease: whatever takes longer than one is taken for lost."""

    def renew(*_: object, **__: object) -> list[Claim]:
        return []

    claiming.renew = renew


def _without_outbox() -> None:
    """Publish nothing again: what the broker has lost is lost."""

    def outbox(*_: object, **__: object) -> list[Wakeup]:
        return []

    sweeping.outbox = outbox


SABOTAGES: Final = MappingProxyType[str, Callable[[], None]](
    {
        "fencing": _without_fencing,
        "heartbeat": _without_heartbeat,
        "outbox": _without_outbox,
    }
)
