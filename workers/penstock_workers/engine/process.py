"""The worker's end of the engine process."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from penstock_shared.errors import EngineError
from penstock_shared.ledger.worker_time import Spent
from penstock_shared.money import cost_of
from penstock_workers.engine.messages import Abort, Close, Completions, Failure, Ready, Submit
from penstock_workers.engine.protocol import (
    Completion,
    EngineConfig,
    EngineLimits,
    EngineRequest,
    Pulse,
)

HOST: Final = "penstock_workers.engine.host"
_CLOSE_S: Final = 10.0
_SILENCE_S: Final = 600.0
_LOOKS: Final = 10


class EngineProcess:
    """Starts the engine's process and speaks with it; implements the Engine protocol.

    The parent-death signal follows the thread that starts the process, so build this in the
    main thread. What vLLM says goes to ``log``, by default to our own standard error. ``host`` is
    the module that the process runs. Once it is loaded, it may say nothing for ``max_silence_s``,
    which no step takes; then it is killed.

    The engine's meter counts while it runs. Before and after, time is idle, and counted here.
    """

    def __init__(
        self,
        config: EngineConfig,
        log: Path | None = None,
        *,
        host: str = HOST,
        max_silence_s: float = _SILENCE_S,
    ) -> None:
        self._log = log
        self._price = config.price_per_hour_pusd
        self._started_ns = config.started_ns
        self._max_silence_s = max_silence_s
        self._closing = threading.Event()
        self._sending = threading.Lock()
        self._counting = threading.Lock()
        self._said = Pulse(0, 0, Spent(0, 0))  # the meter's last word
        self._is_metered = False
        self._open = 0  # requests that have not come back
        self._wasted = 0  # picodollars
        ours, theirs = socket.socketpair()
        with theirs, ExitStack() as opened:
            said = opened.enter_context(log.open("ab")) if log else None
            self._process = subprocess.Popen(
                [sys.executable, "-m", host, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        self._pipe = Connection(ours.detach())
        self._send(config)
        self._reader: threading.Thread | None = None
        self._limits: EngineLimits | None = None

    @property
    def limits(self) -> EngineLimits:
        """What the engine can hold. Raises EngineError while it loads."""
        if self._limits is None:
            raise EngineError("the engine is still loading")
        return self._limits

    def wait_ready(
        self,
        *,
        on_completions: Callable[[Sequence[Completion]], None],
        on_death: Callable[[str], None],
    ) -> None:
        """Return when the engine is loaded. Raises EngineError with its own words.

        From then on a thread calls ``on_completions``, and ``on_death`` once if the process ends
        without being asked to.
        """
        try:
            message = self._pipe.recv()
        except (EOFError, ConnectionError):
            raise EngineError(
                f"the engine died while loading (exit status {self._exit_status()}); "
                f"its last words stand {f'in {self._log}' if self._log else 'above'}"
            ) from None
        if not isinstance(message, Ready):
            raise EngineError(f"the engine could not start: {message.error}")
        self._limits = message.limits
        self._said = self.pulse()  # until the meter has spoken
        self._is_metered = True
        self._reader = threading.Thread(
            target=self._read, args=(on_completions, on_death), name="engine-reader", daemon=True
        )
        self._reader.start()

    def submit(self, requests: Sequence[EngineRequest]) -> None:
        """Add requests; each comes back through ``on_completions`` exactly once."""
        if requests:
            with self._counting:
                self._open += len(requests)
            self._send(Submit(tuple(requests)))

    def abort(self, request_ids: Sequence[str]) -> None:
        """Stop requests; they come back with Ending.ABORT."""
        if request_ids:
            self._send(Abort(tuple(request_ids)))

    def write_off(self, cost_pusd: int) -> None:
        """Note that a completion's cost is waste of which no attempt of a job knows."""
        with self._counting:
            self._wasted += cost_pusd

    def pulse(self) -> Pulse:
        """The latest sign of life, with all that was written off.

        The order in which things are looked at matters: others change them meanwhile.
        """
        wasted, paid = self._wasted, self._price_so_far()
        said = self._said if self._is_metered else _paid_up_to(self._said, paid, is_idle=True)
        return said._replace(spent=said.spent._replace(wasted_pusd=wasted))

    def close(self) -> None:
        """Stop the engine; kill it when it does not stop by itself, or still loads."""
        self._closing.set()
        if self._limits is None:
            self._process.kill()  # it does not listen yet
        self._send(Close())
        self._exit_status()
        if self._reader is not None:
            self._reader.join(_CLOSE_S)

    def _exit_status(self) -> int:
        """Wait for the end of the process; it may have closed its pipe and hang."""
        try:
            return self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _price_so_far(self) -> int:
        return cost_of(self._price, time.monotonic_ns() - self._started_ns)

    def _send(self, message: object) -> None:
        try:
            with self._sending:
                self._pipe.send(message)
        except OSError:
            return  # the reader sees the end of the pipe and reports the death

    def _read(
        self,
        on_completions: Callable[[Sequence[Completion]], None],
        on_death: Callable[[str], None],
    ) -> None:
        last_words = "it left no words"
        try:
            while self._speaks():
                match self._pipe.recv():
                    case Completions(completions, pulse):
                        self._said = pulse
                        with self._counting:
                            self._open -= len(completions)
                        on_completions(completions)
                    case Pulse() as pulse:
                        self._said = pulse
                    case Failure(error):
                        last_words = error
            last_words = f"it had said nothing for {self._max_silence_s:.0f} s"
            self._process.kill()
        except (EOFError, OSError):
            pass
        status = self._exit_status()
        # To its last moment it worked on what has not come back.
        said = _paid_up_to(self._said, self._price_so_far(), is_idle=not self._open)
        self._said = said._replace(running=self._open)
        self._is_metered = False
        if not self._closing.is_set():
            on_death(f"the engine died (exit {status}): {last_words}")

    def _speaks(self) -> bool:
        """Wait for its next word; False: it is stuck.

        It waits in parts, so that a time in which this process was frozen too counts little.
        """
        part_s = self._max_silence_s / _LOOKS
        return any(self._pipe.poll(part_s) for _ in range(_LOOKS))


def _paid_up_to(pulse: Pulse, paid_pusd: int, *, is_idle: bool) -> Pulse:
    """A pulse with the time since; its meter counts no more, or not yet."""
    spent = pulse.spent
    more = max(0, paid_pusd - spent.paid_pusd)
    idle = spent.idle_pusd + (more if is_idle else 0)
    return pulse._replace(spent=Spent(spent.paid_pusd + more, idle))
