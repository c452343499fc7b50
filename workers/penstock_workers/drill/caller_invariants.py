"""Invariants of what callers were told: it is so, and stays so."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from penstock_workers.drill.evidence import Evidence, Violation
from penstock_workers.drill.history import CONFLICT, INVALID, PLAIN, Seen
from penstock_workers.drill.snapshot import JobRow, Snapshot

_CODES: Final[Mapping[str, frozenset[str]]] = {
    CONFLICT: frozenset({"idempotency_conflict"}),
    INVALID: frozenset({"invalid_request", "context_too_long", "unknown_tier"}),
}


def lost(evidence: Evidence) -> Iterator[Violation]:
    """Every accepted job has a row."""
    accepted = {line.job_id: line for line in evidence.history.accepted}
    for job_id, line in accepted.items():
        if job_id not in evidence.jobs:
            yield Violation("lost", job_id, f"{line.client} was told that it is accepted")


def never_submitted(evidence: Evidence) -> Iterator[Violation]:
    """There is nothing in the ledger for which nobody asked, or that was refused."""
    for job in evidence.jobs.values():
        if (job.key, job.prompt) not in evidence.wanted:
            yield Violation("never_submitted", job.job_id, f"a job with the key {job.key}")
    ledger = evidence.snapshot
    for name, ids in (
        ("a result", ledger.results),
        ("a charge", ledger.charges),
        ("an attempt", ledger.attempts),
    ):
        for job_id in ids.keys() - evidence.jobs.keys():
            yield Violation("never_submitted", job_id, f"{name} without a job")


def two_jobs(evidence: Evidence) -> Iterator[Violation]:
    """A key leads to one job, and a submit without a key makes one."""
    ids: dict[str, set[str]] = defaultdict(set)
    for line in evidence.history.accepted:
        if line.key is not None:
            ids[line.key].add(line.job_id)
    made: Counter[str] = Counter()
    for job in evidence.jobs.values():
        if job.key is not None:
            ids[job.key].add(job.job_id)
        else:
            made[job.prompt] += 1
    for key, some in ids.items():
        if len(some) > 1:
            yield Violation("two_jobs", min(some), f"the key {key} leads to {len(some)} jobs")
    for prompt, count in made.items():
        if count > evidence.wanted[None, prompt] > 0:
            yield Violation("two_jobs", None, f"{count} jobs of one submit: {prompt}")


def wrong_job(evidence: Evidence) -> Iterator[Violation]:
    """A caller gets the job of its own request, and one caller only hears that it is new."""
    new: Counter[str] = Counter()
    for line in evidence.history.accepted:
        new[line.job_id] += line.is_new
        job = evidence.jobs.get(line.job_id)
        if job is not None and (job.key, job.prompt) != (line.key, line.prompt):
            yield Violation("wrong_job", line.job_id, f"it was given out for the key {line.key}")
    for job_id, count in new.items():
        if count > 1:
            yield Violation("wrong_job", job_id, f"{count} submits were told that it is new")


def wrong_outcome(evidence: Evidence) -> Iterator[Violation]:
    """Each submit came to the outcome that it had to have: a job, or the right refusal."""
    known = set()
    for taken in evidence.history.accepted:
        known.add((taken.client, taken.key, taken.prompt))
        if taken.kind not in PLAIN:
            yield Violation(f"{taken.kind}_accepted", taken.job_id, f"with the key {taken.key}")
    for refused in evidence.history.refused:
        known.add((refused.client, refused.key, refused.prompt))
        if refused.code not in _CODES.get(refused.kind, ()):
            detail = f"{refused.kind} with the key {refused.key}: {refused.code}"
            yield Violation("wrong_refusal", None, detail)
    for line in dict.fromkeys((s.client, s.key, s.prompt) for s in evidence.history.submitted):
        client, key, _ = line
        if key is not None and line not in known:
            yield Violation("unanswered", None, f"{client} never heard what became of {key}")
    for trouble in evidence.history.troubles:
        yield Violation("unexpected_error", None, f"{trouble.client}: {trouble.error}")


def changed_result(evidence: Evidence) -> Iterator[Violation]:
    """What a caller read of a job that ended stays as it is, and is what the ledger says."""
    readings: dict[str, list[Seen]] = defaultdict(list)
    for seen in evidence.history.seen:
        readings[seen.job_id].append(seen)
    for job_id, some in readings.items():
        texts = {_as_text(seen) for seen in some if seen.has_ended}
        job = evidence.jobs.get(job_id)
        if texts and job is not None:
            texts.add(_as_text(_as_seen(job, evidence.snapshot)))
        if any(not seen.has_ended for seen in some if seen.reading == 2):  # noqa: PLR2004
            texts.add("it had not ended")
        if len(texts) > 1:
            yield Violation("changed_result", job_id, " or ".join(sorted(texts)))
    last = {(seen.client, seen.job_id) for seen in evidence.history.seen if seen.reading > 1}
    for line in evidence.history.accepted:
        if (line.client, line.job_id) not in last:
            yield Violation("unread", line.job_id, f"{line.client} did not read it at the end")


def _as_text(seen: Seen) -> str:
    answer = "no answer" if seen.digest is None else f"answer {seen.digest[:8]}"
    return f"{seen.status} with {answer}, charge {seen.charge}, {seen.attempts} attempts"


def _as_seen(job: JobRow, snapshot: Snapshot) -> Seen:
    charge = snapshot.charges.get(job.job_id)
    text = None if charge is None else charge.as_text
    digest = snapshot.results.get(job.job_id)
    return Seen("", 0, job.job_id, 2, job.state.value, digest, text, job.attempts)
