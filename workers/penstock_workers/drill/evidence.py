"""What is known after a drill, and what it may show."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from penstock_workers.drill.history import PLAIN, History
from penstock_workers.drill.snapshot import JobRow, Snapshot


class Violation(NamedTuple):
    """Something that may never be, and was."""

    invariant: str
    job_id: str | None
    detail: str


class Facts(NamedTuple):
    """What only whoever ran the drill knows."""

    tier: str
    max_attempts: int
    orphans: Sequence[int] = ()  # processes that outlived the stack
    kills: Sequence[tuple[str, int]] = ()  # which worker was hurt, and when


class Evidence:
    """All that is known: what the callers saw, what the ledger says, what the drill knows."""

    def __init__(self, history: History, snapshot: Snapshot, facts: Facts) -> None:
        self.history = history
        self.snapshot = snapshot
        self.facts = facts

    @property
    def jobs(self) -> Mapping[str, JobRow]:
        """The jobs in the ledger."""
        return self.snapshot.jobs

    @cached_property
    def wanted(self) -> Counter[tuple[str | None, str]]:
        """Key and prompt of all that may have become a job, and how often it was submitted."""
        lines = (line for line in self.history.submitted if line.kind in PLAIN)
        return Counter((line.key, line.prompt) for line in lines)

    @cached_property
    def known(self) -> Sequence[JobRow]:
        """The jobs that somebody submitted."""
        return [job for job in self.jobs.values() if (job.key, job.prompt) in self.wanted]
