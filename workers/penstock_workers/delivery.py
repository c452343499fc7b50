"""Delivery: Celery's side of a worker. It hands messages to tasks and acknowledges them.

It differs from a stock worker with threads in three things. What fails outside of a task frees its
slot, so that the worker never falls silent. While it drains, its loop goes on, so that jobs which
end in that time are acknowledged at once. And it knows the messages that it holds, so that they
can be kept from being repeated.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from billiard.einfo import ExceptionInfo
from celery import Celery
from celery.apps.worker import Worker as CeleryWorker
from celery.concurrency.base import apply_target
from celery.concurrency.thread import TaskPool
from celery.exceptions import Ignore, Reject
from celery.signals import worker_ready
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer

from penstock_workers import discretion

log = logging.getLogger(__name__)
_TICK_S: Final = 1.0
_LOOK_S: Final = 0.02
_FLUSH_S: Final = 2.0


class Pool(TaskPool):  # type: ignore[misc]  # Celery has no types
    """Threads whose slots come back whatever happens."""

    def on_apply(self, target: Callable[..., Any], args: Any, kwargs: Any, **options: Any) -> Any:
        """Run a task in a thread; ``args`` are the type, the id and the message of its request."""
        return super().on_apply(_run, (target, args, kwargs, options))


def _run(target: Callable[..., Any], args: Any, kwargs: Any, options: Mapping[str, Any]) -> None:
    try:
        apply_target(target, args, kwargs, options["callback"], options["accept_callback"])
    except BaseException:
        log.exception("the message of %s failed outside of its task", args[1])
        _put_down(options["error_callback"], once_more=not _was_repeated(args[2]))


def _put_down(error_callback: Callable[[ExceptionInfo], None], *, once_more: bool) -> None:
    """Return a message to its queue once; after that the ledger alone looks after its job."""
    try:
        raise Reject("it failed outside of its task", requeue=True) if once_more else Ignore()
    except (Reject, Ignore):
        error_callback(ExceptionInfo())


def _was_repeated(message: Mapping[str, Any]) -> bool:
    return bool(message.get("delivery_info", {}).get("redelivered"))


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery has no types
    """A consumer that keeps what it took when the connection breaks, and is soon back.

    It can also stop taking messages while it goes on acknowledging them.
    """

    is_paused = False

    def pause(self) -> None:
        """Take no message any more, also after a reconnect."""
        self.is_paused = True
        self.call_soon(self._cancel)

    def on_ready(self) -> None:
        """Called at the start and after each reconnect."""
        super().on_ready()
        if self.is_paused:
            self._cancel()

    def on_connection_error_after_connected(self, error: Exception) -> None:
        """Clean up after a connection.

        kombu would return the messages that we hold to their queues, to be delivered a second
        time, and breaks when the broker is away. They stay ours: the keeper renews their time, and
        they are acknowledged over connections of the old channel.
        """
        channels = self.connection.transport.channels
        pools = [(channel, channel._get_pool()) for channel in channels]  # noqa: SLF001 - no door
        for channel, _ in pools:
            channel.do_restore = False
        super().on_connection_error_after_connected(error)
        for channel, pool in pools:
            channel._pool = pool  # noqa: SLF001

    def on_close(self) -> None:
        """Called after a connection: Celery forgets what waits for a thread, and we do not."""
        held = tuple(state.reserved_requests)
        super().on_close()
        state.reserved_requests.update(held)

    def ensure_connected(self, connection: Any) -> Any:
        """Connect, however often it takes."""
        self.first_connection_attempt = False
        return connection.ensure_connection(
            _on_retry,
            None,
            interval_start=0.5,
            interval_step=0.5,
            interval_max=5,
            callback=state.maybe_shutdown,
        )

    def _cancel(self) -> None:
        if self.task_consumer is not None:
            self.task_consumer.cancel()


def _on_retry(error: Exception, seconds: float) -> None:
    log.warning("the broker does not answer (%s); next try in %.1f s", error, seconds)


class Delivery(CeleryWorker):  # type: ignore[misc]  # Celery has no types
    """Takes messages until a signal; then drains, and ``start`` returns.

    ``drain`` must return when no task waits any more; it is told by ``is_hurried`` when a second
    signal came. ``on_tick`` is called every second by the loop that takes the messages.
    """

    def __init__(
        self,
        app: Celery,
        *,
        drain: Callable[[], None],
        on_ready: Callable[[], None],
        on_tick: Callable[[], None],
        **options: Any,
    ) -> None:
        self._drain = drain
        self._on_tick = on_tick
        self._hurried = threading.Event()
        self._asked = threading.Event()
        self._drained = threading.Event()
        worker_ready.connect(lambda **_: on_ready(), weak=False)
        discretion.keep()
        super().__init__(app=app, pool=Pool, consumer_cls=Consumer, quiet=True, **options)

    @property
    def is_hurried(self) -> bool:
        """True when whoever stops us does not want to wait."""
        return self._hurried.is_set()

    def install_platform_tweaks(self, _worker: object) -> None:
        """Listen to signals."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, self._on_signal)

    def register_with_event_loop(self, hub: Any) -> None:
        """Called with the loop at the start and after each reconnect."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(_TICK_S, self._on_tick)

    def stop(self, in_sighandler: bool = False, exitcode: int | None = None) -> None:
        """Stop, however it was asked for: no thread may wait for a job any more."""
        self._finish()
        super().stop(in_sighandler, exitcode)

    def _on_signal(self, number: int, _frame: object) -> None:
        if self._asked.is_set() or number == signal.SIGQUIT:
            self._hurried.set()
        if not self._asked.is_set():
            self._asked.set()
            # In a signal handler no lock may be taken.
            threading.Thread(target=self._end, name="drain", daemon=True).start()

    def _end(self) -> None:
        self.consumer.pause()
        try:
            self._finish()
            self._flush()
        finally:
            state.should_stop = 0  # the loop looks at it at each turn

    def _finish(self) -> None:
        if not self._drained.is_set():
            self._drain()
            self._drained.set()

    def _flush(self) -> None:
        """Let the loop send the acknowledgements of what has just ended."""
        end = time.monotonic() + _FLUSH_S
        while state.reserved_requests and time.monotonic() < end:
            time.sleep(_LOOK_S)
        time.sleep(_LOOK_S)  # a request is done a moment before its acknowledgement is on its way
        flushed = threading.Event()
        self.consumer.call_soon(flushed.set)
        flushed.wait(max(0.0, end - time.monotonic()))


def held_tags() -> list[str]:
    """Delivery tags of all messages that this process has taken and not yet acknowledged."""
    while True:
        try:
            return [request.message.delivery_tag for request in tuple(state.reserved_requests)]
        except RuntimeError:  # the loop changed it while we were looking
            continue
