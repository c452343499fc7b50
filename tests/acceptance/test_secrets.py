"""Words of callers, answers and passwords are where they belong, and nowhere else."""

import json
import stat
from collections.abc import Iterator
from typing import Any

import pytest
from celery.result import AsyncResult
from redis import Redis
from sqlalchemy import make_url

from penstock_producer import Client, JobState, load_settings
from penstock_shared.errors import IdempotencyConflict
from tests.acceptance.canaries import (
    a_canary,
    command_lines,
    files_in,
    keys_of,
    pages_of_flower,
    sightings,
)
from tests.acceptance.command import Home, foreign_app, no_leftovers, wait_until
from tests.acceptance.flower import ask_flower, password_of
from tests.acceptance.indiscretion import AGAIN, QUEUE, Told, at_rest, has_heard_the_end, tell
from tests.acceptance.victims import ENDS_S

pytestmark = pytest.mark.usefixtures("celery_garbage")

REDIS_KEPT = {"redis/appendonly.aof", "redis/dump.rdb"}
PASSWORD_FILES = {"secrets.json", "stack.json", "redis/redis.conf"}


@pytest.fixture(scope="module")
def redis(home: Home) -> Iterator[Redis]:
    with Redis.from_url(home.stack["broker_url"]) as redis:
        yield redis


@pytest.fixture(scope="module")
def told(home: Home, redis: Redis) -> Told:
    """All secrets were told, once for all tests."""
    with no_leftovers(), Client(load_settings(home.folder)) as client:
        return tell(home, client, redis)


@pytest.fixture
def words(told: Told) -> list[str]:
    """All that nobody but callers and the ledger may know."""
    answers = [piece for parts in told.answers.values() for piece in parts]
    assert len(answers) > 10
    assert any(told.answers[job_id] for job_id in told.foreign_ids)
    return [*told.by_client, *told.by_foreign_app, *answers]


@pytest.fixture
def passwords(home: Home) -> list[str]:
    ledger = make_url(home.stack["ledger_url"]).password
    assert isinstance(ledger, str)
    return [*json.loads((home.folder / "secrets.json").read_text()).values(), ledger]


def test_the_jobs_that_told_secrets_had_all_kinds_of_ends(told: Told) -> None:
    ends = list(told.ends.values())
    assert ends.count(JobState.SUCCEEDED) == 14
    assert ends.count(JobState.FAILED) == 2
    assert ends.count(JobState.CANCELLED) == 1


def test_no_file_of_the_home_has_words_of_callers_or_answers(home: Home, words: list[str]) -> None:
    files = files_in(home.folder)
    assert b"is ready" in files["logs/worker-small.log"]
    assert {name.split("/")[0] for name in files} >= {"logs", "health", "run", "redis"}
    kept = {name: content for name, content in files.items() if name not in REDIS_KEPT}
    assert sightings(words, kept) == []


def test_up_prints_neither_words_nor_passwords(
    home: Home, words: list[str], passwords: list[str]
) -> None:
    printed = home.output
    assert "Penstock is up" in printed
    assert "worker-small ended" in printed
    assert sightings([*words, *passwords], {"up": printed.encode()}) == []


def test_redis_never_heard_what_a_client_said_nor_an_answer(
    home: Home, told: Told, words: list[str]
) -> None:
    heard = {k: v for k, v in files_in(home.folder).items() if k in REDIS_KEPT}
    ids = [job_id for job_id in told.ends if job_id not in told.foreign_ids]
    assert {job_id for _, job_id in sightings(ids, heard)} == set(ids)
    assert {word for _, word in sightings(words, heard)} == set(told.by_foreign_app)


def test_redis_holds_no_words_while_jobs_wait_in_it(told: Told, words: list[str]) -> None:
    assert AGAIN in told.waiting
    assert sightings(words, told.waiting) == []


def test_redis_at_rest_has_forgotten_what_a_foreign_app_sent(
    told: Told, words: list[str], redis: Redis
) -> None:
    keys = keys_of(redis)
    assert {f"celery-task-meta-{job_id}" for job_id in told.foreign_ids} <= keys.keys()
    assert sightings(words, keys) == []


def test_flower_shows_jobs_without_words_and_knows_no_password(
    home: Home, told: Told, words: list[str], passwords: list[str]
) -> None:
    pages = pages_of_flower(home, told.ends)
    assert {job_id for _, job_id in sightings(told.ends, pages)} == told.ends.keys()
    assert any(page.startswith("/worker/") for page in pages)
    assert sightings([*words, *passwords], pages) == []


def test_those_who_watch_events_hear_no_words(
    told: Told, words: list[str], passwords: list[str]
) -> None:
    kinds = {event["type"] for event in told.events}
    assert kinds >= {"task-sent", "task-received", "task-started", "task-succeeded", "task-failed"}
    heard = {f"{n} {e['type']}": repr(e).encode() for n, e in enumerate(told.events)}
    assert {job_id for _, job_id in sightings(told.ends, heard)} == told.ends.keys()
    assert sightings([*words, *passwords], heard) == []


def test_no_command_line_has_words_or_passwords(words: list[str], passwords: list[str]) -> None:
    lines = command_lines()
    assert sightings(["redis-server"], lines)
    assert sightings([*words, *passwords], lines) == []


def test_passwords_are_in_three_files_that_their_owner_alone_may_read(
    home: Home, told: Told, passwords: list[str]
) -> None:
    assert len(set(passwords)) == 3
    files = files_in(home.folder)
    assert {place for place, _ in sightings(passwords, files)} == PASSWORD_FILES
    modes = {stat.S_IMODE((home.folder / name).stat().st_mode) for name in PASSWORD_FILES}
    assert modes == {0o600}
    folders = (home.folder, *(home.folder / name for name in ("redis", "logs", "health")))
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_passwords_are_in_no_value_of_redis(redis: Redis, told: Told, passwords: list[str]) -> None:
    assert sightings(passwords, {**keys_of(redis), **told.waiting}) == []


@pytest.mark.parametrize(
    "mistake", [{"name": "penstock.infr"}, {"name": "penstock.infer", "serializer": "pickle"}]
)
def test_a_message_that_no_worker_can_serve_is_in_no_log(
    home: Home, redis: Redis, mistake: dict[str, str]
) -> None:
    canary = a_canary("mistaken")
    with foreign_app(home.stack["broker_url"]) as app:
        app.send_task(**mistake, kwargs={"prompt": f"Hello {canary}"}, queue=QUEUE)
        next_one = app.send_task("penstock.infer", kwargs={"prompt": "Hello!"}, queue=QUEUE)
        assert next_one.get(timeout=200)["state"] == "succeeded"
    wait_until(lambda: at_rest(redis), ENDS_S)
    assert sightings([canary], files_in(home.folder / "logs")) == []
    assert sightings([canary], keys_of(redis)) == []


def test_a_conflict_tells_nobody_the_idempotency_key(home: Home, redis: Redis) -> None:
    canary = a_canary("conflict")
    with foreign_app(home.stack["broker_url"]) as app:

        def send(prompt: str) -> AsyncResult[Any]:
            request = {"prompt": prompt, "idempotency_key": canary}
            return app.send_task("penstock.infer", kwargs=request, queue=QUEUE)

        assert send("Hello!").get(timeout=200)["state"] == "succeeded"
        second = send("Good morning!")  # only now: of two at once, either may come first
        with pytest.raises(IdempotencyConflict):
            second.get(timeout=200)
    wait_until(lambda: at_rest(redis), ENDS_S)
    assert second.id in str(keys_of(redis))
    assert sightings([canary], keys_of(redis)) == []
    wait_until(lambda: has_heard_the_end(home, [second.id]), ENDS_S)
    page = ask_flower(home, f"/api/task/info/{second.id}", password=password_of(home))
    assert sightings([canary], {"Flower": page.encode()}) == []
