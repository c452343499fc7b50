"""A caller and a foreign Celery app tell secrets in every way there is, and all kinds of ends."""

import signal
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from celery import Celery, chain
from redis import Redis

from penstock_producer import Client, Job, JobState
from tests.acceptance.canaries import Places, a_canary, events_of, keys_of, pieces
from tests.acceptance.command import Home, foreign_app, wait_until
from tests.acceptance.flower import tasks_of
from tests.acceptance.victims import ENDS_S, engine_of, frozen, wait_boarded, worker_of

QUEUE: Final = "penstock.small"
AGAIN: Final = "penstock.small.again"
UNACKED: Final = "penstock.unacked"
_TASK: Final = "penstock.infer"
_TOO_LONG: Final = "7" * 1500  # every digit is a token, which no caller can know
_ENDINGS: Final = {"succeeded", "failed", "cancelled", "retried", "rejected"}


class Told(NamedTuple):
    """What was said, and what could be seen while it was."""

    by_client: list[str]
    by_foreign_app: list[str]
    answers: dict[str, list[str]]  # parts of each, by job
    ends: dict[str, JobState]
    foreign_ids: list[str]
    waiting: Places  # what Redis held while jobs waited in it
    events: list[dict[str, Any]]


def tell(home: Home, client: Client, redis: Redis) -> Told:
    """Let all of it happen, and come to rest."""
    mine = {
        name: a_canary(name)
        for name in (
            *("prompt", "system", "turn", "key", "metadata", "tenant", "workflow"),
            *("failing", "cancelled", "killed"),
        )
    }
    theirs = {
        name: a_canary(f"foreign-{name}")
        for name in ("prompt", "chained", "template", "failing", "wrong", "metadata", "tenant")
    }
    with foreign_app(home.stack["broker_url"]) as app, events_of(app) as events:
        foreign_ids = _send(app, theirs)
        _wait_ended(client, foreign_ids)
        jobs = _submit(client, mine)
        jobs.append(_cancel(client, mine["cancelled"]))
        wait_until(lambda: at_rest(redis), ENDS_S)
        killed, waiting = _kill_engine(home, client, redis, mine["killed"])
        ids = [job.id for job in [*jobs, *killed]] + foreign_ids
        _wait_ended(client, ids)
        wait_until(lambda: at_rest(redis), ENDS_S)
        wait_until(lambda: has_heard_the_end(home, ids), ENDS_S)
    results = client.fetch_many(ids)
    answers = {job_id: pieces(result.text or "") for job_id, result in results.items()}
    ends = {job_id: result.status for job_id, result in results.items()}
    return Told(
        list(mine.values()), list(theirs.values()), answers, ends, foreign_ids, waiting, events
    )


def at_rest(redis: Redis) -> bool:
    """True when no message waits, and none is in a worker's hands."""
    return not any(redis.exists(key) for key in (QUEUE, AGAIN, "penstock.large", "celery", UNACKED))


def has_heard_the_end(home: Home, ids: Sequence[str]) -> bool:
    """True when Flower knows that these have ended: it hears of it a moment later."""
    tasks = tasks_of(home)
    return all(any(tasks.get(i, {}).get(ending) for ending in _ENDINGS) for i in ids)


def _submit(client: Client, words: dict[str, str]) -> list[Job]:
    chat = [
        {"role": "system", "content": f"You are {words['system']}."},
        {"role": "user", "content": f"Who is {words['turn']}?"},
    ]
    stories = [f"Tell a story about the {place}." for place in ("sea", "moon", "river", "city")]
    return [
        *client.submit_many(stories, tier="small", temperature=1.0),
        client.submit(
            f"Tell a story about {words['prompt']}.",
            tier="small",
            idempotency_key=words["key"],
            metadata={"note": words["metadata"]},
            tenant=words["tenant"],
            workflow=words["workflow"],
        ),
        client.submit(chat, tier="small"),
        client.submit(f"{words['failing']} {_TOO_LONG}", tier="small"),
    ]


def _cancel(client: Client, word: str) -> Job:
    job = client.submit(
        f"Tell a story about {word}.", tier="large", max_tokens=7000, ignore_eos=True
    )
    wait_until(lambda: job.status() is JobState.RUNNING, ENDS_S)
    job.cancel()
    return job


def _kill_engine(
    home: Home, client: Client, redis: Redis, word: str
) -> tuple[list[Job], dict[str, bytes]]:
    """Jobs whose engine dies under them; also what Redis held while they waited for a new one."""
    prompts = [f"Tell story {number} about {word}." for number in range(4)]
    engine = engine_of(worker_of(home, "small"))
    with frozen(engine):  # so that nothing has ended when it dies
        jobs = client.submit_many(
            prompts, tier="small", max_tokens=900, ignore_eos=True, temperature=1.0
        )
        wait_boarded(client, "small", [job.id for job in jobs])
        engine.send_signal(signal.SIGKILL)
        wait_until(lambda: redis.llen(AGAIN) >= len(jobs), ENDS_S)
        return jobs, keys_of(redis)


def _send(app: Celery, words: dict[str, str]) -> list[str]:
    """Everything that a foreign app can send and that has an end; returns the ids of its jobs."""
    common = {"metadata": {"note": words["metadata"]}, "tenant": words["tenant"], "max_tokens": 24}
    first = app.signature(
        _TASK, kwargs={"prompt": f"Who is {words['chained']}?", **common}, queue=QUEUE
    )
    template = f"Translate for {words['template']}: {{{{ answer }}}}"
    second = app.signature(_TASK, kwargs={"template": template, **common}, queue=QUEUE)
    last = chain(first, second, app=app).apply_async()
    prompts = [f"Hello {words['prompt']}!", f"{words['failing']} {_TOO_LONG}"]
    sent = [
        app.send_task(_TASK, kwargs={"prompt": prompt, **common}, queue=QUEUE) for prompt in prompts
    ]
    story = {"prompt": "Tell a story about the hill.", "temperature": 1.0, "max_tokens": 60}
    sent.append(app.send_task(_TASK, kwargs=story, queue=QUEUE))
    app.send_task(_TASK, kwargs={"prompt": "Hi", "temperature": words["wrong"]}, queue=QUEUE)
    return [last.parent.id, last.id, *(task.id for task in sent)]


def _wait_ended(client: Client, ids: Sequence[str]) -> None:
    def have_ended() -> bool:
        found = client.fetch_many(ids)
        return len(found) == len(ids) and all(r.status.is_terminal for r in found.values())

    wait_until(have_ended, ENDS_S)
