"""The broker: one Celery queue per tier, and messages that carry nothing but a job id."""

import json
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from celery import Celery
from kombu import Connection
from kombu.exceptions import KombuError, OperationalError
from redis.exceptions import RedisError

from penstock_shared.errors import BrokerUnavailable
from penstock_shared.settings import Settings

TASK_NAME: Final = "penstock.infer"
QUEUE_PREFIX: Final = "penstock."
UNROUTED_QUEUE: Final = "celery"  # where send_task without a queue ends up
_FAIL_FAST: Final = {"max_retries": 0, "socket_connect_timeout": 5, "socket_timeout": 10}
_BROKER_ERRORS: Final = (KombuError, OperationalError, RedisError, OSError)


class Wakeup(NamedTuple):
    """What the broker is told about a job."""

    job_id: str
    tier: str


def queue_of(tier: str) -> str:
    """Name of a tier's Celery queue."""
    return f"{QUEUE_PREFIX}{tier}"


def make_app(settings: Settings) -> Celery:
    """A Celery app that speaks JSON only and knows the tiers' queues. Connects lazily."""
    url = settings.broker
    app = Celery("penstock", broker=url, backend=url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        result_accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=5,
        broker_transport_options={"socket_connect_timeout": 5},
        result_backend_always_retry=True,
        result_expires=86_400,
        redis_socket_connect_timeout=5,
        redis_backend_health_check_interval=30,
        task_acks_late=True,
        task_send_sent_event=True,
        worker_send_task_events=True,
        worker_prefetch_multiplier=1,
    )
    return app


def oldest_waiting(app: Celery, tier: str, count: int) -> list[str]:
    """Ids of the jobs that were published first among those that wait in a tier's queue.

    kombu pushes on the left of a Redis list and pops on the right, so the last ones are the
    oldest. Raises BrokerUnavailable.
    """
    try:
        with app.connection_for_read(transport_options=_FAIL_FAST) as connection:
            waiting = connection.default_channel.client.lrange(queue_of(tier), -count, -1)
    except _BROKER_ERRORS as error:
        raise _unavailable(app, error) from error
    return [json.loads(message)["headers"]["id"] for message in waiting]


class Publisher:
    """Publishes wake-ups in pipelines over one connection of its own. Thread-safe."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def publish(self, wakeups: Iterable[Wakeup]) -> None:
        """Put each job id into its tier's queue, many to a round trip.

        Raises BrokerUnavailable; then some or all may have arrived, which is harmless, because a
        claim makes a second wake-up idle.
        """
        batch = list(wakeups)
        with self._lock:
            try:
                self._send(batch)
            except _BROKER_ERRORS:
                self._disconnect()  # it may have gone stale while idle: once more, on a new one
                self._send_or_explain(batch)

    def close(self) -> None:
        """Free the connection."""
        with self._lock:
            self._disconnect()

    def _send_or_explain(self, batch: Sequence[Wakeup]) -> None:
        try:
            self._send(batch)
        except _BROKER_ERRORS as error:
            self._disconnect()
            raise _unavailable(self._app, error) from error

    def _send(self, batch: Sequence[Wakeup]) -> None:
        if self._connection is None:
            self._connection = self._app.connection_for_write(transport_options=_FAIL_FAST)
        amqp = self._app.amqp
        with amqp.Producer(self._connection) as producer, producer.batch():
            for job_id, tier in batch:
                message = amqp.as_task_v2(job_id, TASK_NAME, ignore_result=True, origin="penstock")
                producer.publish(
                    message.body,
                    exchange="",
                    routing_key=queue_of(tier),
                    serializer="json",
                    headers=message.headers,
                    retry=False,
                    **message.properties,
                )

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*_BROKER_ERRORS):
                connection.close()


def _unavailable(app: Celery, error: Exception) -> BrokerUnavailable:
    return BrokerUnavailable(
        f"Redis at {app.connection_for_write().as_uri()} does not answer "
        f"({type(error).__name__}); start it with 'penstock up', or set PENSTOCK_BROKER_URL"
    )
