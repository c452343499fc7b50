"""The report of a drill: what was thrown at the system, and what became of its promises."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from penstock_shared.ledger.database import Database
from penstock_shared.ledger.worker_time import Books
from penstock_shared.words import AttemptOutcome, JobState
from penstock_workers.drill.evidence import Facts, Violation
from penstock_workers.drill.history import History
from penstock_workers.drill.snapshot import AttemptRow, read_snapshot
from penstock_workers.evals.reports import percentile

_SHOWN: Final = 20
_LOST: Final = frozenset({"lost", "not_ended", "missing_result"})
_CHARGED_TWICE: Final = frozenset({"charged_twice", "extra_charge"})
_PROMISES: Final[Mapping[str, frozenset[str]]] = {
    "what was accepted comes to its end": frozenset(
        {"lost", "not_ended", "lease_left", "open_attempt", "unread"}
    ),
    "one key is one job, and what is wrong is refused": frozenset(
        {
            "two_jobs",
            "wrong_job",
            "never_submitted",
            "conflict_accepted",
            "invalid_accepted",
            "wrong_refusal",
            "unanswered",
        }
    ),
    "the right answer, and it never changes": frozenset(
        {"wrong_answer", "missing_result", "extra_result", "changed_result"}
    ),
    "one charge for each answer, none for anything else": _CHARGED_TWICE | {"missing_charge"},
    "only the last claim of a job settles it": frozenset({"stale_settlement", "attempts"}),
    "what kills an engine dies, and nothing else does": frozenset({"innocent_dead", "wrong_end"}),
    "all that a worker was paid for is accounted for": frozenset({"books"}),
    "no message is left in Redis": frozenset({"message_left"}),
    "no process is left": frozenset({"orphan"}),
    "callers meet no error that is not in the manual": frozenset({"unexpected_error"}),
}


class Setup(NamedTuple):
    """What was drilled, and with what; ``faults`` counts them by kind."""

    workers: int
    seconds: float
    seed: int
    ledger: str
    faults: Mapping[str, int]


class Report(NamedTuple):
    """All figures of a drill."""

    setup: Setup
    accepted: int
    states: Mapping[JobState, int]
    recovery_s: Sequence[float]  # of each claim that a fault took away: until the next one began
    wasted_share: float | None  # of the engines' working time; None: they never worked
    violations: Sequence[Violation]

    @property
    def ok(self) -> bool:
        """True when every promise was kept."""
        return not self.violations

    def jobs_with(self, invariants: Collection[str]) -> int:
        """How many jobs, or things without a job, break one of these invariants."""
        found = [v for v in self.violations if v.invariant in invariants]
        return len({v.job_id for v in found if v.job_id}) + sum(not v.job_id for v in found)

    def recovery(self, share: float) -> float | None:
        """Within how many seconds this share of the claims were made again."""
        return round(percentile(self.recovery_s, share), 2) if self.recovery_s else None

    def as_json(self) -> dict[str, Any]:
        """The figures for scripts; of the violations the first ones."""
        wasted = self.wasted_share
        return {
            "accepted": self.accepted,
            "lost": self.jobs_with(_LOST),
            "duplicate_charges": self.jobs_with(_CHARGED_TWICE),
            "changed_results": self.jobs_with({"changed_result"}),
            "orphans": self.jobs_with({"orphan"}),
            "recoveries": len(self.recovery_s),
            "recovery_p50_s": self.recovery(0.50),
            "recovery_p99_s": self.recovery(0.99),
            "wasted_share": None if wasted is None else round(wasted, 4),
            **{s.value: self.states.get(s, 0) for s in _ENDS},
            "workers": self.setup.workers,
            "seconds": self.setup.seconds,
            "seed": self.setup.seed,
            "ledger": self.setup.ledger,
            "faults": dict(self.setup.faults),
            "violations_found": len(self.violations),
            "violations": [violation._asdict() for violation in self.violations[:_SHOWN]],
            "ok": self.ok,
        }


_ENDS: Final = (JobState.SUCCEEDED, JobState.FAILED, JobState.DEAD)


def make_report(
    history: History,
    database: Database,
    facts: Facts,
    violations: Sequence[Violation],
    setup: Setup,
) -> Report:
    """The figures of a drill. Raises LedgerUnavailable."""
    snapshot = read_snapshot(database)
    return Report(
        setup=setup,
        accepted=len({line.job_id for line in history.accepted}),
        states=Counter(job.state for job in snapshot.jobs.values()),
        recovery_s=recoveries(snapshot.attempts, facts.kills),
        wasted_share=wasted_share(snapshot.books),
        violations=violations,
    )


def recoveries(
    attempts: Mapping[str, Sequence[AttemptRow]], kills: Sequence[tuple[str, int]]
) -> list[float]:
    """Seconds from a fault to the next claim of each job that it took from its worker."""
    moments: dict[str, list[int]] = defaultdict(list)
    for worker_id, at_ms in sorted(kills, key=lambda kill: kill[1]):
        moments[worker_id].append(at_ms)
    found: list[float] = []
    for of_job in attempts.values():
        for attempt, following in pairwise(of_job):
            hurt = moments.get(attempt.worker_id, [])
            before = bisect_right(hurt, attempt.ended_ms or following.started_ms)
            is_lost = attempt.outcome is AttemptOutcome.LOST
            if is_lost and before and hurt[before - 1] >= attempt.started_ms:
                found.append((following.started_ms - hurt[before - 1]) / 1000)
    return found


def wasted_share(books: Sequence[Books]) -> float | None:
    """The part of the engines' working time for which nobody was charged."""
    worked = sum(life.paid_pusd - life.idle_pusd for life in books)
    wasted = sum(max(0, b.paid_pusd - b.idle_pusd - b.charged_pusd) for b in books)
    return wasted / worked if worked > 0 else None


def show(report: Report, out: Console, *, kept_in: Path | None = None) -> None:
    """Faults, promises, figures, and the verdict; words say what colours might."""
    setup = report.setup
    out.print(
        f"\n{report.accepted:,} jobs in {setup.seconds:g} s on {setup.workers} workers, "
        f"{setup.ledger}, seed {setup.seed}\n",
        highlight=False,
    )
    out.print(_faults(report), "", _promises(report), "")
    for line in _figures(report):
        out.print(line, highlight=False)
    _verdict(report, out, kept_in)


def _faults(report: Report) -> Table:
    table = Table("what was done to it", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("times", justify="right")
    for kind, times in report.setup.faults.items():
        table.add_row(Text(kind.replace("_", " ")), f"{times}")
    return table


def _promises(report: Report) -> Table:
    table = Table("what was promised", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("broken", justify="right")
    table.add_column("held")
    known = frozenset().union(*_PROMISES.values())
    others = {v.invariant for v in report.violations} - known
    rows = {**_PROMISES, **({", ".join(sorted(others)): others} if others else {})}
    for promise, invariants in rows.items():
        broken = report.jobs_with(invariants)
        held = Text("no", style="bold red") if broken else Text("yes", style="green")
        table.add_row(Text(promise), f"{broken:,}", held)
    return table


def _figures(report: Report) -> list[str]:
    ends = ", ".join(f"{report.states.get(state, 0):,} {state.value}" for state in _ENDS)
    lines = [f"How the jobs ended: {ends}."]
    if report.recovery_s:
        lines.append(
            f"{len(report.recovery_s):,} times a fault took a job from its worker; another claimed "
            f"it within {report.recovery(0.5):g} s (half of them) or "
            f"{report.recovery(0.99):g} s (99 %)."
        )
    if report.wasted_share is not None:
        lines.append(f"{report.wasted_share:.1%} of the engines' working time was wasted.")
    return lines


def _verdict(report: Report, out: Console, kept_in: Path | None) -> None:
    if report.ok:
        out.print("[bold green]All promises were kept.[/]")
    else:
        count = len(report.violations)
        noun = "violation" if count == 1 else "violations"
        out.print(f"[bold red]{count:,} {noun}.[/]")
        for violation in report.violations[:_SHOWN]:
            job = f" job {violation.job_id}" if violation.job_id else ""
            line = f"  {violation.invariant}:{job} {violation.detail}"
            out.print(Text(line), soft_wrap=True)
    if kept_in is not None:
        out.print(Text(f"History, ledger and logs are kept in {kept_in}"), soft_wrap=True)
