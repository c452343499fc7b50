"""What a drill leaves: all is well, or the books, Redis or the processes say otherwise."""

from collections.abc import Iterator

import pytest
from redis import Redis

from penstock_shared.broker import queue_of, queues_of
from penstock_shared.errors import BrokerUnavailable
from penstock_shared.ledger import accepting, settling
from penstock_shared.ledger.accepting import Accepted
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.dead import attempts_of
from penstock_shared.ledger.settling import Account, Settlement
from penstock_shared.stack.processes import free_port
from penstock_shared.words import JobState
from penstock_workers.drill import history as events
from penstock_workers.drill import sabotage, script
from penstock_workers.drill.invariants import check, messages_left
from penstock_workers.drill.report import Setup, make_report
from penstock_workers.drill.script import TIER
from tests.drill_world import CLIENT, FACTS, WORKER, World, some_jobs
from tests.examples import NOW, a_draft, an_answer, claim_some, lose_workers
from tests.rig import statements


@pytest.fixture
def world(sqlite_url: str) -> Iterator[World]:
    database = Database(sqlite_url)
    yield World(database)
    database.close()


def test_a_drill_in_which_all_went_well_breaks_nothing(database: Database, redis_url: str) -> None:
    world = World(database)
    some_jobs(world)
    first = world.history.accepted[0]
    key = first.key
    world.say(events.Unsure(CLIENT, NOW, key, first.prompt, "plain", "ledger_unavailable"))
    world.say(events.Submitted(CLIENT, NOW, None, "drill 77 tokens=3", "plain"))
    for kind, its_key, code in (
        ("conflict", key, "idempotency_conflict"),
        ("invalid", "k-invalid", "invalid_request"),
    ):
        world.submit("drill 78 tokens=3", key=its_key, kind=kind)
        world.say(events.Refused(CLIENT, NOW, its_key, "drill 78 tokens=3", kind, code))
    world.rest()
    twin = first._replace(kind="twin", client="client-1", is_new=False)
    world.say(events.Submitted("client-1", NOW, key, twin.prompt, "twin"))
    world.say(twin)
    seen = next(seen for seen in world.history.seen if seen.job_id == first.job_id)
    world.say(seen._replace(client="client-1", reading=2))
    assert check(world.history, database, redis_url, FACTS) == []


def test_a_job_that_was_not_read_at_the_end_is_found(world: World, redis_url: str) -> None:
    some_jobs(world)
    world.read(1)
    world.close_books()
    assert world.broken(redis_url) == {"unread"}


@pytest.mark.parametrize(
    "changes", ["idle_pusd = idle_pusd + 1", "charged_pusd = 0, idle_pusd = 5 + charged_pusd"]
)
def test_books_that_do_not_add_up_are_found(world: World, redis_url: str, changes: str) -> None:
    some_jobs(world)
    world.rest()
    world.sql(f"UPDATE worker_time SET {changes}")
    assert world.broken(redis_url) == {"books"}


def test_a_worker_that_lives_may_have_open_books(world: World, redis_url: str) -> None:
    some_jobs(world)
    world.rest()
    world.sql("UPDATE worker_time SET idle_pusd = idle_pusd + 1, ended_ms = NULL")
    assert world.broken(redis_url) == set()


def test_waste_is_never_negative(world: World, redis_url: str) -> None:
    some_jobs(world)
    world.rest()
    world.sql("UPDATE worker_time SET idle_pusd = idle_pusd + 1, waste_pusd = waste_pusd - 1")
    assert world.broken(redis_url) == {"books"}


def test_processes_that_are_left_are_found(world: World, redis_url: str) -> None:
    facts = FACTS._replace(orphans=(4711,))
    [found] = check(world.history, world.database, redis_url, facts)
    assert found == ("orphan", None, "process 4711")


@pytest.mark.parametrize(
    "key", [*queues_of(TIER), f"{queue_of(TIER)}\x06\x163", "celery", "unacked", "a.unacked_index"]
)
def test_messages_that_are_left_in_redis_are_found(world: World, redis_url: str, key: str) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.set("unacked_mutex", "1")
        redis.sadd("_kombu.binding.celery", "x")
        redis.lpush(queue_of("another"), "a message")
        assert world.broken(redis_url) == set()
        if key.endswith("unacked"):
            redis.hset(key, "tag", "a message")
        elif key.endswith("unacked_index"):
            redis.zadd(key, {"tag": 1.0})
        else:
            redis.lpush(key, "a message")
    [found] = check(world.history, world.database, redis_url, FACTS)
    assert found == ("message_left", None, f"1 in {key}")


def test_without_redis_nothing_can_be_said_about_it() -> None:
    with pytest.raises(BrokerUnavailable):
        messages_left(f"redis://127.0.0.1:{free_port()}/0", TIER)


def test_an_answer_is_compared_up_to_its_limit(world: World, redis_url: str) -> None:
    prompt = "drill 5 tokens=3"
    key = world.submit(prompt)
    [outcome] = accepting.accept(
        world.database, [a_draft(prompt, tier=TIER, idempotency_key=key, max_tokens=2)], NOW
    )
    assert isinstance(outcome, Accepted)
    world.say(events.Accepted(CLIENT, NOW, key, prompt, "plain", outcome.job_id, is_new=True))
    world.settle(outcome.job_id, text=" ".join(script.answer_of(prompt).split()[:2]))
    world.rest()
    assert world.broken(redis_url) == set()


def test_many_jobs_are_checked_with_few_statements(database: Database, redis_url: str) -> None:
    world = World(database)
    prompts = [f"drill {number} tokens=30" for number in range(2_000)]
    drafts = [a_draft(p, tier=TIER, idempotency_key=f"k-{n}") for n, p in enumerate(prompts)]
    for start in range(0, len(drafts), 1_000):
        outcomes = accepting.accept(database, drafts[start : start + 1_000], NOW)
        ids = [o.job_id for o in outcomes if isinstance(o, Accepted)]
        claims = claim_some(database, ids, worker_id=WORKER)
        settlements = [
            Settlement(c, JobState.SUCCEEDED, 1, an_answer(script.answer_of(c.request.question)))
            for c in claims
        ]
        settling.settle(database, Account(WORKER, TIER), settlements, NOW)
        for claim in claims:
            key, prompt = claim.request.idempotency_key, claim.request.question
            world.say(events.Submitted(CLIENT, NOW, key, prompt, "plain"))
            world.say(events.Accepted(CLIENT, NOW, key, prompt, "plain", claim.job_id, True))
    world.charged = len(drafts)
    world.rest()
    with statements(database) as seen:
        assert check(world.history, database, redis_url, FACTS) == []
    assert len(seen) < 100


def test_a_settlement_that_no_fencing_token_stops_is_found(
    world: World, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_held", "_record"):
        monkeypatch.setattr(settling, name, getattr(settling, name))  # whole again afterwards
    sabotage.apply(["fencing"])
    job_id = world.ask()
    frozen = world.claim(job_id)
    lose_workers(world.database)
    world.settle(job_id)
    answer = an_answer(script.answer_of(frozen.request.question))
    world.settle_as(Settlement(frozen, JobState.SUCCEEDED, 1, answer))
    world.rest()
    broken = world.broken(redis_url)
    assert broken == {"charged_twice", "stale_settlement", "books"}


def test_the_report_of_a_drill_in_which_all_went_well(world: World, redis_url: str) -> None:
    jobs = some_jobs(world)
    world.rest()
    world.sql("UPDATE attempts SET worker_id = 'other' WHERE fence > 1")
    hurt_ms = attempts_of(world.database, jobs["good"])[0].started_ms + 10
    world.sql("UPDATE attempts SET ended_ms = ? WHERE outcome = 'lost'", hurt_ms + 500)
    world.sql("UPDATE attempts SET started_ms = ? WHERE fence > 1", hurt_ms + 2_000)
    facts = FACTS._replace(kills=((WORKER, hurt_ms),))
    violations = check(world.history, world.database, redis_url, facts)
    setup = Setup(workers=1, seconds=5, seed=7, ledger="sqlite", faults={"kill_worker": 1})
    report = make_report(world.history, world.database, facts, violations, setup)
    assert report.ok
    assert report.as_json() == {
        "accepted": 5,
        "lost": 0,
        "duplicate_charges": 0,
        "changed_results": 0,
        "orphans": 0,
        "recoveries": 2,
        "recovery_p50_s": 2.0,
        "recovery_p99_s": 2.0,
        "wasted_share": 0.0,
        "succeeded": 3,
        "failed": 1,
        "dead": 1,
        "workers": 1,
        "seconds": 5,
        "seed": 7,
        "ledger": "sqlite",
        "faults": {"kill_worker": 1},
        "violations_found": 0,
        "violations": [],
        "ok": True,
    }
