"""Requests become jobs exactly once."""

from penstock_shared.errors import IdempotencyConflict
from penstock_shared.ledger import accepting, reading
from penstock_shared.ledger.accepting import Accepted, Draft
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.schema import Job
from penstock_shared.words import JobState
from tests.examples import NOW, a_draft, rows, together


def accept(database: Database, *drafts: Draft) -> list[Accepted]:
    outcomes = accepting.accept(database, drafts, NOW)
    assert not [outcome for outcome in outcomes if isinstance(outcome, IdempotencyConflict)]
    return [outcome for outcome in outcomes if isinstance(outcome, Accepted)]


def test_a_thousand_requests_become_a_thousand_jobs_in_order(database: Database) -> None:
    accepted = accept(database, *(a_draft(f"What is {n}?") for n in range(1000)))
    stored = {row.id: row for row in rows(database, Job)}
    assert len(stored) == len({a.job_id for a in accepted}) == 1000
    for number, outcome in enumerate(accepted):
        assert f"What is {number}?" in stored[outcome.job_id].request
        assert outcome.is_new


def test_a_new_job_is_queued_and_waits_in_the_outbox(database: Database) -> None:
    [accepted] = accept(database, a_draft(tenant="acme", workflow="nightly", tier="small"))
    [row] = rows(database, Job)
    assert (row.id, row.tier, row.reason) == (accepted.job_id, accepted.tier, accepted.reason)
    assert (row.state, row.tenant, row.workflow) == (JobState.QUEUED, "acme", "nightly")
    assert (row.created_ms, row.published_ms) == (NOW, None)
    assert (row.attempts, row.fence, row.cancel_requested) == (0, 0, False)


def test_a_job_that_the_broker_brought_needs_no_publishing(database: Database) -> None:
    accepting.accept(database, [a_draft()], NOW, published=True)
    assert rows(database, Job)[0].published_ms == NOW


def test_text_of_every_alphabet_comes_back_as_it_went_in(database: Database) -> None:
    prompt = "Đập là gì? 🌊 \"'; DROP TABLE jobs; -- \\ \u2028 \U0010ffff"
    [accepted] = accept(database, a_draft(prompt, metadata={"ký": ["\u2029", None, 1.5]}))
    assert rows(database, Job)[0].id == accepted.job_id
    assert reading.fetch_one(database, accepted.job_id).metadata == {"ký": ["\u2029", None, 1.5]}


def test_the_same_key_of_the_same_tenant_gives_the_same_job(database: Database) -> None:
    [first] = accept(database, a_draft(idempotency_key="k"))
    [again] = accept(database, a_draft(idempotency_key="k"))
    assert (again.job_id, first.is_new, again.is_new) == (first.job_id, True, False)
    assert len(rows(database, Job)) == 1


def test_the_same_key_of_another_tenant_gives_another_job(database: Database) -> None:
    [mine] = accept(database, a_draft(idempotency_key="k", tenant="mine"))
    [yours] = accept(database, a_draft(idempotency_key="k", tenant="yours"))
    assert mine.job_id != yours.job_id
    assert yours.is_new


def test_the_same_key_with_another_request_is_refused_with_the_jobs_id(database: Database) -> None:
    [first] = accept(database, a_draft(idempotency_key="k"))
    [outcome] = accepting.accept(database, [a_draft("Other", idempotency_key="k")], NOW)
    assert isinstance(outcome, IdempotencyConflict)
    assert first.job_id in outcome.message
    assert len(rows(database, Job)) == 1


def test_a_key_that_stands_twice_in_one_batch_gives_one_job(database: Database) -> None:
    first, other, again = accept(
        database,
        a_draft(idempotency_key="k"),
        a_draft("Other"),
        a_draft(idempotency_key="k"),
    )
    assert (again.job_id, first.is_new, again.is_new) == (first.job_id, True, False)
    assert other.job_id != first.job_id
    assert len(rows(database, Job)) == 2


def test_a_conflict_inside_one_batch_hits_only_the_later_request(database: Database) -> None:
    first, conflict, other = accepting.accept(
        database,
        [a_draft(idempotency_key="k"), a_draft("Other", idempotency_key="k"), a_draft("Third")],
        NOW,
    )
    assert isinstance(first, Accepted)
    assert isinstance(conflict, IdempotencyConflict)
    assert isinstance(other, Accepted)


def test_jobs_without_a_key_never_meet(database: Database) -> None:
    assert len({a.job_id for a in accept(database, *[a_draft()] * 20)}) == 20


def test_threads_that_submit_the_same_keys_at_once_share_the_jobs(database: Database) -> None:
    keys = [f"k{n}" for n in range(20)]

    def submit(number: int) -> list[tuple[str, bool]]:
        # Half of them the other way round, so that they meet in the middle.
        order = keys if number % 2 else keys[::-1]
        drafts = [a_draft(f"about {key}", idempotency_key=key) for key in order]
        found = dict(zip(order, accept(database, *drafts), strict=True))
        return [(found[key].job_id, found[key].is_new) for key in keys]

    outcomes = together(8, submit)
    assert len(rows(database, Job)) == len(keys)
    for of_one_key in zip(*outcomes, strict=True):
        assert len({job_id for job_id, _ in of_one_key}) == 1
        assert sum(is_new for _, is_new in of_one_key) == 1


def test_a_foreign_job_keeps_its_own_id_and_is_taken_once(database: Database) -> None:
    draft = a_draft()._replace(job_id="a-celery-task")
    [first] = accept(database, draft)
    [again] = accept(database, draft)
    assert first.job_id == again.job_id == "a-celery-task"
    assert len(rows(database, Job)) == 1


def test_accepting_nothing_changes_nothing(database: Database) -> None:
    assert accepting.accept(database, [], NOW) == []
    assert rows(database, Job) == []


def test_publishing_is_marked_once_and_keeps_its_first_moment(database: Database) -> None:
    ids = [a.job_id for a in accept(database, *[a_draft()] * 1200)]
    accepting.mark_published(database, ids, NOW + 5)
    accepting.mark_published(database, ids, NOW + 9)
    assert {row.published_ms for row in rows(database, Job)} == {NOW + 5}
