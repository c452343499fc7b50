"""Invariants of the ledger: each job ended as it had to, once, and the books are right."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from penstock_shared.words import AttemptOutcome, JobState
from penstock_workers.drill import script
from penstock_workers.drill.evidence import Evidence, Violation
from penstock_workers.drill.snapshot import JobRow, digest_of

_UNSETTLED: Final = (AttemptOutcome.LOST, AttemptOutcome.RELEASED)
_LAST_OUTCOME: Final = {
    JobState.SUCCEEDED: AttemptOutcome.SUCCEEDED,
    JobState.FAILED: AttemptOutcome.FAILED,
    JobState.DEAD: AttemptOutcome.LOST,
}


def not_ended(evidence: Evidence) -> Iterator[Violation]:
    """Every job is in one terminal state, without a lease, and so are its attempts."""
    for job in evidence.jobs.values():
        lease = "" if job.lease_until_ms is None else f", leased until {job.lease_until_ms}"
        if not job.state.is_terminal:
            yield Violation("not_ended", job.job_id, f"{job.state}{lease}")
        elif lease:
            yield Violation("lease_left", job.job_id, f"{job.state}{lease}")
        for attempt in evidence.snapshot.attempts.get(job.job_id, ()):
            is_open = attempt.outcome is AttemptOutcome.CLAIMED or attempt.ended_ms is None
            if is_open and job.state.is_terminal:
                detail = f"claim {attempt.fence} of {attempt.worker_id} has no end"
                yield Violation("open_attempt", job.job_id, detail)


def wrong_end(evidence: Evidence) -> Iterator[Violation]:
    """Poison is dead, what the engine refuses has failed, all others succeeded."""
    for job in evidence.known:
        expected = JobState.SUCCEEDED
        if script.is_poison(job.prompt):
            expected = JobState.DEAD
        elif script.is_refused(job.prompt):
            expected = JobState.FAILED
        if job.state.is_terminal and job.state is not expected:
            name = "innocent_dead" if job.state is JobState.DEAD else "wrong_end"
            yield Violation(name, job.job_id, f"{job.state} instead of {expected}")


def wrong_result(evidence: Evidence) -> Iterator[Violation]:
    """A job that succeeded has the only right answer, every other job has none."""
    results = evidence.snapshot.results
    for job in evidence.known:
        if job.state is not JobState.SUCCEEDED:
            if job.job_id in results:
                yield Violation("extra_result", job.job_id, f"{job.state}, with a result")
        elif job.job_id not in results:
            yield Violation("missing_result", job.job_id, "succeeded, without a result")
        elif results[job.job_id] != _right_digest(job):
            yield Violation("wrong_answer", job.job_id, job.prompt)


def wrong_charge(evidence: Evidence) -> Iterator[Violation]:
    """A job that succeeded was charged once, every other job never."""
    charges = evidence.snapshot.charges
    for job in evidence.jobs.values():
        has_succeeded = job.state is JobState.SUCCEEDED
        if has_succeeded and job.job_id not in charges:
            yield Violation("missing_charge", job.job_id, "succeeded, without a charge")
        if not has_succeeded and job.job_id in charges:
            yield Violation("extra_charge", job.job_id, f"{job.state}, with a charge")
        attempts = evidence.snapshot.attempts.get(job.job_id, ())
        settled = [a.worker_id for a in attempts if a.outcome is AttemptOutcome.SUCCEEDED]
        if len(settled) > 1:
            yield Violation("charged_twice", job.job_id, f"settled by {', '.join(settled)}")


def wrong_attempts(evidence: Evidence) -> Iterator[Violation]:
    """Attempts stay within the limit, and only the last claim settled the job."""
    limit = evidence.facts.max_attempts
    for job in evidence.jobs.values():
        attempts = evidence.snapshot.attempts.get(job.job_id, ())
        if job.attempts > limit:
            yield Violation("attempts", job.job_id, f"{job.attempts} attempts of {limit}")
        if [attempt.fence for attempt in attempts] != list(range(1, job.fence + 1)):
            detail = f"{len(attempts)} attempts are known of {job.fence} claims"
            yield Violation("attempts", job.job_id, detail)
        outcomes = [attempt.outcome for attempt in attempts]
        early = next((o for o in outcomes[:-1] if o not in _UNSETTLED), None)
        if early is not None and early is not AttemptOutcome.CLAIMED:
            detail = f"a claim that was not the last one: {early}"
            yield Violation("stale_settlement", job.job_id, detail)
        expected = _LAST_OUTCOME.get(job.state)
        if expected is not None and outcomes[-1:] != [expected]:
            detail = f"{job.state}, but the last claim: {', '.join(outcomes[-1:]) or 'none'}"
            yield Violation("stale_settlement", job.job_id, detail)


def unbalanced_books(evidence: Evidence) -> Iterator[Violation]:
    """What a worker was paid is charge, waste or idle, and its charges are those of its jobs."""
    charged: Counter[str] = Counter()
    for charge in evidence.snapshot.charges.values():
        charged[charge.worker_id] += charge.amount_pusd
    for books in evidence.snapshot.books:
        if books.has_ended and books.difference_pusd:
            detail = f"{books.worker_id}: {books.difference_pusd} picodollars are not explained"
            yield Violation("books", None, detail)
        if books.waste_pusd < 0:
            detail = f"{books.worker_id}: a waste of {books.waste_pusd} picodollars"
            yield Violation("books", None, detail)
        more = books.charged_pusd - charged[books.worker_id]
        if more:
            detail = f"{books.worker_id}: {more} picodollars more than its jobs were charged"
            yield Violation("books", None, detail)


def _right_digest(job: JobRow) -> str:
    words = script.answer_of(job.prompt).split(" ")
    return digest_of(" ".join(words[: job.max_tokens]))
