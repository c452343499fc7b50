"""Accepting jobs: ``Client.submit_many`` (ledger and Redis) against ``send_task`` in a loop."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from celery import Celery
from contender import Spread
from workload import Item, make_items, request_of

from penstock_producer import Client, Settings, load_settings
from penstock_shared.broker import queue_of
from penstock_shared.ledger.database import Database
from penstock_shared.ledger.migrate import migrate
from penstock_shared.stack import home
from penstock_shared.stack.redis_server import RedisServer

_QUEUE: Final = "plain"


class Submitting(NamedTuple):
    """Jobs per second, and how many times as many as with plain Celery."""

    submit_per_s: Spread
    send_task_per_s: Spread
    ratio: Spread


def measure_submitting(
    settings: Settings, *, jobs: int, rounds: int, on_round: Callable[[], None]
) -> Submitting:
    """Alternate the two on the same Redis, to which no worker listens."""
    ours: list[float] = []
    theirs: list[float] = []
    url = settings.broker
    with Client(settings) as client, Celery(broker=url, set_as_current=False) as app:
        for number in range(rounds + 1):
            items = make_items(jobs, round_number=-1 - number)
            accepted = _per_s(lambda items=items: client.submit_many(map(request_of, items)), jobs)
            sent = _per_s(lambda items=items: _send_all(app, items), jobs)
            with app.connection_for_write() as connection:
                for queue in (*map(queue_of, settings.tiers), _QUEUE):
                    connection.default_channel.queue_purge(queue)
            if number > 0:  # the first round opens connections
                ours.append(accepted)
                theirs.append(sent)
                on_round()
    pairs = zip(ours, theirs, strict=True)
    return Submitting(Spread.of(ours), Spread.of(theirs), Spread.of([a / b for a, b in pairs]))


@contextmanager
def redis_and_ledger(folder: Path) -> Iterator[Settings]:
    """The embedded stack without workers: its Redis, and SQLite."""
    with home.hold(folder):
        redis = RedisServer(folder / "redis", home.password_of(folder, "redis"), folder / "log")
        home.write_connection(folder, {"broker_url": redis.url})
        settings = load_settings(folder)
        database = Database(settings.ledger)
        migrate(database)
        database.close()
        try:
            redis.start()
            yield settings
        finally:
            redis.child.stop(10)


def _send_all(app: Celery, items: Sequence[Item]) -> None:
    for item in items:
        options = {"max_tokens": item.max_tokens, "ignore_eos": True}
        app.send_task("generate", args=(item.prompt,), kwargs=options, queue=_QUEUE)


def _per_s(submit: Callable[[], object], jobs: int) -> float:
    start = time.perf_counter()
    submit()
    return jobs / (time.perf_counter() - start)
