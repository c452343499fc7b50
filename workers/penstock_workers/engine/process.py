"""The worker's end of the engine process."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from penstock_shared.errors import EngineError
from penstock_shared.ledger.worker_time import Spent
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


class EngineProcess:
    """Starts the engine's process and speaks with it; implements the Engine protocol.

    The parent-death signal follows the thread that starts the process, so build this in the
    main thread. What vLLM says goes to ``log``, by default to our own standard error. ``host`` is
    the module that the process runs.
    """

    def __init__(self, config: EngineConfig, log: Path | None = None, *, host: str = HOST) -> None:
        self._log = log
        self._closing = threading.Event()
        self._sending = threading.Lock()
        self._pulse = Pulse(0, 0, Spent(0, 0))
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
                f"the engine died while loading (exit status {self._process.wait()}); "
                f"its last words stand {f'in {self._log}' if self._log else 'above'}"
            ) from None
        if not isinstance(message, Ready):
            raise EngineError(f"the engine could not start: {message.error}")
        self._limits = message.limits
        self._reader = threading.Thread(
            target=self._read, args=(on_completions, on_death), name="engine-reader", daemon=True
        )
        self._reader.start()

    def submit(self, requests: Sequence[EngineRequest]) -> None:
        """Add requests; each comes back through ``on_completions`` exactly once."""
        if requests:
            self._send(Submit(tuple(requests)))

    def abort(self, request_ids: Sequence[str]) -> None:
        """Stop requests; they come back with Ending.ABORT."""
        if request_ids:
            self._send(Abort(tuple(request_ids)))

    def pulse(self) -> Pulse:
        """The latest sign of life."""
        return self._pulse

    def close(self) -> None:
        """Stop the engine; kill it when it does not stop by itself."""
        self._closing.set()
        self._send(Close())
        try:
            self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._reader is not None:
            self._reader.join(_CLOSE_S)

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
            while True:
                match self._pipe.recv():
                    case Completions(completions, pulse):
                        self._pulse = pulse
                        on_completions(completions)
                    case Pulse() as pulse:
                        self._pulse = pulse
                    case Failure(error):
                        last_words = error
        except (EOFError, OSError):
            if not self._closing.is_set():
                on_death(f"the engine died (exit {self._process.wait()}): {last_words}")
