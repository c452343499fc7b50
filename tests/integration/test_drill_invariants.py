"""Each invariant of the drill: what breaks it is found, and nothing else is."""

from collections.abc import Callable, Iterator
from typing import Final

import pytest

from penstock_shared.ledger.database import Database
from penstock_workers.drill import history as events
from penstock_workers.drill.report import _PROMISES
from tests.drill_world import CLIENT, LIMIT, World, some_jobs
from tests.examples import NOW


@pytest.fixture
def world(sqlite_url: str) -> Iterator[World]:
    database = Database(sqlite_url)
    yield World(database)
    database.close()


def vanished(world: World, jobs: dict[str, str]) -> None:
    world.sql("DELETE FROM attempts WHERE job_id = ?", jobs["refused"])
    world.sql("DELETE FROM jobs WHERE id = ?", jobs["refused"])


def waiting(world: World, _: dict[str, str]) -> None:
    world.ask()


def running(world: World, _: dict[str, str]) -> None:
    world.claim(world.ask())


def leased(world: World, jobs: dict[str, str]) -> None:
    world.sql("UPDATE jobs SET lease_until_ms = 1 WHERE id = ?", jobs["plain"])


def open_attempt(world: World, jobs: dict[str, str]) -> None:
    world.sql("UPDATE attempts SET ended_ms = NULL WHERE job_id = ?", jobs["plain"])


def unasked(world: World, _: dict[str, str]) -> None:
    world.settle(world.accept("drill 77 tokens=3", "a-key"))


def unasked_without_key(world: World, _: dict[str, str]) -> None:
    world.settle(world.accept("What is a dam?", None), text="A wall.")


def result_without_job(world: World, jobs: dict[str, str]) -> None:
    world.sql("UPDATE results SET job_id = 'ghost' WHERE job_id = ?", jobs["plain"])


def attempt_without_job(world: World, _: dict[str, str]) -> None:
    world.sql(
        "INSERT INTO attempts (job_id, fence, worker_id, outcome, started_ms, ended_ms, waste_pusd)"
        " VALUES ('ghost', 1, 'w', 'lost', 1, 1, 0)"
    )


def doubled(world: World, jobs: dict[str, str]) -> None:
    world.sql("DROP INDEX uq_jobs_idempotency")
    for table, column in (("jobs", "id"), ("attempts", "job_id")):
        world.sql(f"CREATE TABLE copy AS SELECT * FROM {table} WHERE {column} = ?", jobs["refused"])
        world.sql(f"UPDATE copy SET {column} = 'another'")
        world.sql(f"INSERT INTO {table} SELECT * FROM copy")
        world.sql("DROP TABLE copy")


def doubled_without_key(world: World, _: dict[str, str]) -> None:
    world.say(events.Submitted(CLIENT, NOW, None, "drill 77 tokens=3", "plain"))
    for _number in range(2):
        world.settle(world.accept("drill 77 tokens=3", None))


def new_twice(world: World, _: dict[str, str]) -> None:
    world.say(world.history.accepted[0])


def another_job(world: World, jobs: dict[str, str]) -> None:
    first = world.history.accepted[0]
    world.history.accepted[0] = first._replace(job_id=jobs["good"], is_new=False)  # type: ignore[index]


def accepted_though(kind: str) -> Callable[[World, dict[str, str]], None]:
    def take(world: World, _: dict[str, str]) -> None:
        world.settle(world.ask(kind=kind))

    return take


def refused(world: World, _: dict[str, str]) -> None:
    key = world.submit("drill 77 tokens=3")
    code = "invalid_request"
    world.say(events.Refused(CLIENT, NOW, key, "drill 77 tokens=3", "plain", code))


def refused_for_another_reason(world: World, _: dict[str, str]) -> None:
    key = world.submit("drill 77 tokens=3", kind="conflict")
    code = "invalid_request"
    world.say(events.Refused(CLIENT, NOW, key, "drill 77 tokens=3", "conflict", code))


def unanswered(world: World, _: dict[str, str]) -> None:
    key = world.submit("drill 77 tokens=3")
    world.say(events.Unsure(CLIENT, NOW, key, "drill 77 tokens=3", "plain", "ledger_unavailable"))


def trouble(world: World, _: dict[str, str]) -> None:
    world.say(events.Trouble(CLIENT, NOW, "submit", "KeyError: 'x'"))


def innocent_dead(world: World, _: dict[str, str]) -> None:
    job_id = world.ask()
    for _number in range(LIMIT):
        world.lose(job_id)


def innocent_failed(world: World, _: dict[str, str]) -> None:
    world.fail(world.ask())


def poison_succeeded(world: World, _: dict[str, str]) -> None:
    world.settle(world.ask("poison", kind="poison"))


def wrong_answer(world: World, _: dict[str, str]) -> None:
    world.settle(world.ask(), text="A wall across a river.")


def no_result(world: World, jobs: dict[str, str]) -> None:
    world.sql("DELETE FROM results WHERE job_id = ?", jobs["plain"])


def extra_result(world: World, jobs: dict[str, str]) -> None:
    world.sql("UPDATE results SET job_id = ? WHERE job_id = ?", jobs["refused"], jobs["plain"])


def no_charge(world: World, jobs: dict[str, str]) -> None:
    world.sql("DELETE FROM charges WHERE job_id = ?", jobs["free"])


def extra_charge(world: World, jobs: dict[str, str]) -> None:
    world.sql("CREATE TABLE copy AS SELECT * FROM charges WHERE job_id = ?", jobs["free"])
    world.sql("UPDATE copy SET job_id = ?", jobs["poison"])
    world.sql("INSERT INTO charges SELECT * FROM copy")


def settled_twice(world: World, jobs: dict[str, str]) -> None:
    world.sql("UPDATE attempts SET outcome = 'succeeded' WHERE job_id = ?", jobs["good"])


def settled_by_a_lost_claim(world: World, jobs: dict[str, str]) -> None:
    swap = "CASE fence WHEN 1 THEN 'succeeded' ELSE 'lost' END"
    world.sql(f"UPDATE attempts SET outcome = {swap} WHERE job_id = ?", jobs["good"])


def settled_by_nobody(world: World, jobs: dict[str, str]) -> None:
    world.sql("UPDATE attempts SET outcome = 'lost' WHERE job_id = ?", jobs["plain"])


def too_many_attempts(world: World, jobs: dict[str, str]) -> None:
    world.sql("UPDATE jobs SET attempts = ? WHERE id = ?", LIMIT + 1, jobs["plain"])


def forgotten_attempt(world: World, jobs: dict[str, str]) -> None:
    world.sql("DELETE FROM attempts WHERE fence = 1 AND job_id = ?", jobs["good"])


def answered_otherwise(world: World, jobs: dict[str, str]) -> None:
    world.sql("UPDATE results SET text = 'x' || text WHERE job_id = ?", jobs["plain"])
    world.read(1)
    world.sql("UPDATE results SET text = substr(text, 2) WHERE job_id = ?", jobs["plain"])


def succeeded_otherwise(world: World, jobs: dict[str, str]) -> None:
    world.sql("UPDATE jobs SET state = 'dead' WHERE id = ?", jobs["free"])
    world.read(1)
    world.sql("UPDATE jobs SET state = 'succeeded' WHERE id = ?", jobs["free"])


def opened_again(world: World, jobs: dict[str, str]) -> None:
    world.read(1)
    world.sql("UPDATE jobs SET state = 'queued' WHERE id = ?", jobs["free"])
    world.read(2)
    world.sql("UPDATE jobs SET state = 'succeeded' WHERE id = ?", jobs["free"])


BREAKS: Final[tuple[tuple[Callable[[World, dict[str, str]], None], set[str]], ...]] = (
    (vanished, {"lost"}),
    (waiting, {"not_ended"}),
    (running, {"not_ended"}),
    (leased, {"lease_left"}),
    (open_attempt, {"open_attempt"}),
    (unasked, {"never_submitted"}),
    (unasked_without_key, {"never_submitted"}),
    (result_without_job, {"never_submitted", "missing_result"}),
    (attempt_without_job, {"never_submitted"}),
    (doubled, {"two_jobs"}),
    (doubled_without_key, {"two_jobs"}),
    (new_twice, {"wrong_job"}),
    (another_job, {"wrong_job", "two_jobs"}),
    (accepted_though("conflict"), {"conflict_accepted", "never_submitted"}),
    (accepted_though("invalid"), {"invalid_accepted", "never_submitted"}),
    (refused, {"wrong_refusal"}),
    (refused_for_another_reason, {"wrong_refusal"}),
    (unanswered, {"unanswered"}),
    (trouble, {"unexpected_error"}),
    (innocent_dead, {"innocent_dead"}),
    (innocent_failed, {"wrong_end"}),
    (poison_succeeded, {"wrong_end"}),
    (wrong_answer, {"wrong_answer"}),
    (no_result, {"missing_result"}),
    (extra_result, {"extra_result", "missing_result"}),
    (no_charge, {"missing_charge"}),
    (extra_charge, {"extra_charge"}),
    (settled_twice, {"charged_twice", "stale_settlement"}),
    (settled_by_a_lost_claim, {"stale_settlement"}),
    (settled_by_nobody, {"stale_settlement"}),
    (too_many_attempts, {"attempts"}),
    (forgotten_attempt, {"attempts"}),
    (answered_otherwise, {"changed_result"}),
    (succeeded_otherwise, {"changed_result"}),
    (opened_again, {"changed_result"}),
)


@pytest.mark.parametrize(("break_it", "expected"), BREAKS, ids=[b.__name__ for b, _ in BREAKS])
def test_what_is_broken_is_found_and_nothing_else(
    world: World,
    redis_url: str,
    break_it: Callable[[World, dict[str, str]], None],
    expected: set[str],
) -> None:
    break_it(world, some_jobs(world))
    world.rest()
    assert world.broken(redis_url) == expected


def test_every_invariant_belongs_to_a_promise() -> None:
    known = frozenset().union(*_PROMISES.values())
    assert frozenset().union(*(expected for _, expected in BREAKS)) <= known
