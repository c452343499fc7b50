"""The broker: one Celery queue per tier, and messages that carry nothing but a job id."""

import json
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from celery import Celery
from celery.app.amqp import AMQP
from kombu import Connection
from kombu.exceptions import KombuError, OperationalError
from redis.exceptions import RedisError

from penstock_shared.errors import BrokerUnavailable
from penstock_shared.settings import Settings

TASK_NAME: Final = "penstock.infer"
QUEUE_PREFIX: Final = "penstock."
_AGAIN: Final = ".again"
UNROUTED_QUEUE: Final = "celery"  # where send_task without a queue ends up
UNACKED_INDEX: Final = "penstock.unacked_index"  # of messages that were taken, by when
_FAIL_FAST: Final = {"max_retries": 0, "socket_connect_timeout": 5, "socket_timeout": 10}
_BROKER_ERRORS: Final = (KombuError, OperationalError, RedisError, OSError)


class DiscreetAMQP(AMQP):  # type: ignore[misc]  # Celery has no types
    """Publishes tasks, those of chains and chords too, whose arguments show in no event."""

    def as_task_v2(self, *given: Any, **options: Any) -> Any:
        """Make a message of a task."""
        return super().as_task_v2(*given, **{**options, "argsrepr": "", "kwargsrepr": ""})


class Wakeup(NamedTuple):
    """What the broker is told about a job; ``again``: it was lost once, and has waited enough."""

    job_id: str
    tier: str
    again: bool = False


def queue_of(tier: str, *, again: bool = False) -> str:
    """Name of a tier's Celery queue, or of the one for jobs that were lost.

    Workers take from the two in turn, so that a job which lost its worker does not wait behind all
    that came after it.
    """
    return f"{QUEUE_PREFIX}{tier}{_AGAIN if again else ''}"


def queues_of(tier: str) -> tuple[str, str]:
    """Both queues of a tier."""
    return queue_of(tier), queue_of(tier, again=True)


def tier_of(queue: str) -> str | None:
    """Whose queue it is; None for one that is not ours."""
    if not queue.startswith(QUEUE_PREFIX):
        return None
    return queue.removeprefix(QUEUE_PREFIX).removesuffix(_AGAIN)


def visibility_s(settings: Settings) -> float:
    """How long a message may be held without a sign of life before it is delivered again."""
    return 4 * settings.worker.lease_s


def make_app(settings: Settings) -> Celery:
    """A Celery app that speaks JSON only and knows the tiers' queues. Connects lazily."""
    url = settings.broker
    app = Celery("penstock", broker=url, backend=url, amqp=DiscreetAMQP, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        result_accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=5,
        broker_transport_options=_transport_options(visibility_s(settings)),
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


def renew_deliveries(app: Celery, delivery_tags: Sequence[str]) -> None:
    """Renew the time of messages that were taken and are still wanted. Raises BrokerUnavailable."""
    if not delivery_tags:
        return
    try:
        with app.connection_for_write(transport_options=_FAIL_FAST) as connection:
            now = dict.fromkeys(delivery_tags, time.time())
            connection.default_channel.client.zadd(UNACKED_INDEX, now, xx=True)
    except _BROKER_ERRORS as error:
        raise _unavailable(app, error) from error


def oldest_waiting(app: Celery, tier: str, count: int) -> list[str]:
    """Ids of the jobs that were published first among those that wait in a tier's queues.

    kombu pushes on the left of a Redis list and pops on the right, so the last ones of each are
    the oldest. Raises BrokerUnavailable.
    """
    try:
        with app.connection_for_read(transport_options=_FAIL_FAST) as connection:
            redis = connection.default_channel.client
            waiting = [m for queue in queues_of(tier) for m in redis.lrange(queue, -count, -1)]
    except _BROKER_ERRORS as error:
        raise _unavailable(app, error) from error
    return [json.loads(message)["headers"]["id"] for message in waiting]


def _transport_options(visibility: float) -> dict[str, Any]:
    # Under names of our own: another Celery app on this Redis has other ideas of how long a
    # message may be held, and the shortest time would rule both.
    return {
        "socket_connect_timeout": 5,
        "unacked_key": "penstock.unacked",
        "unacked_index_key": UNACKED_INDEX,
        "unacked_mutex_key": "penstock.unacked_mutex",
        "unacked_mutex_expire": max(1, round(visibility)),
        "visibility_timeout": visibility,
        "unacked_restore_interval": visibility / 4,
        "unacked_restore_throttle": 1,
    }


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
            for job_id, tier, again in batch:
                message = amqp.as_task_v2(job_id, TASK_NAME, ignore_result=True, origin="penstock")
                producer.publish(
                    message.body,
                    exchange="",
                    routing_key=queue_of(tier, again=again),
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
