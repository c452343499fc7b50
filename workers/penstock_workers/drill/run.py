"""The run of a drill: stack and callers up, faults, healing, rest, and the verdict.

All of it happens in the main thread, because the processes that it starts end with that thread.
"""

import signal
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple

from penstock_shared.errors import Unavailable
from penstock_shared.ledger.database import Database
from penstock_shared.stack.home import hold
from penstock_workers.drill.callers import Callers
from penstock_workers.drill.evidence import Facts, Violation
from penstock_workers.drill.history import read_history
from penstock_workers.drill.injection import Injection
from penstock_workers.drill.invariants import check, messages_left
from penstock_workers.drill.plan import LONG_SHARE, POISON_SHARE, client_plans
from penstock_workers.drill.report import Report, Setup, make_report
from penstock_workers.drill.schedule import FaultKind, schedule_faults, usual_count
from penstock_workers.drill.script import TIER
from penstock_workers.drill.services import count_states, write_out
from penstock_workers.drill.stack import DrillStack, LedgerKind
from penstock_workers.drill.view import Picture, View

_TICK_S: Final = 0.05
_PICTURE_S: Final = 0.5
_STALLED_S: Final = 60.0  # no job has ended for so long: none will
_READING_S: Final = 90.0
_REST_S: Final = 20.0
_ORPHAN_S: Final = 5.0


class Order(NamedTuple):
    """What is to be drilled."""

    jobs: int = 500
    seconds: float = 60.0
    seed: int = 1
    workers: int = 3
    ledger: LedgerKind = "sqlite"
    faults: int | None = None  # None: as many as are usual
    kinds: Sequence[FaultKind] = tuple(FaultKind)
    without: Sequence[str] = ()
    callers: int = 3
    long_share: float = LONG_SHARE
    poison_share: float = POISON_SHARE


def run_drill(order: Order, home: Path, view: View) -> Report:
    """Drill a stack of our own in ``home``; nothing of it runs on when this returns or raises.

    Raises KeyboardInterrupt, also for SIGTERM, and PenstockError when it cannot be started.
    """
    with hold(home), _interruptible(), view, ExitStack() as undo:
        try:
            view.say(f"starting Redis, {order.ledger} and {order.workers} workers")
            stack = DrillStack(
                home, workers=order.workers, ledger=order.ledger, without=order.without
            )
            undo.callback(stack.stop)
            stack.start().wait_ready()
            report = _Drill(order, stack, view, undo).run()
        finally:
            _be_undisturbed()
            view.say("stopping")
    after = [Violation("orphan", None, f"process {pid}") for pid in _outliving(stack, ())]
    return report._replace(violations=[*report.violations, *after])


class _Drill:
    """One drill on a running stack."""

    def __init__(self, order: Order, stack: DrillStack, view: View, undo: ExitStack) -> None:
        self._order = order
        self._stack = stack
        self._view = view
        self._database = Database(stack.settings.ledger, pool_size=1)
        undo.callback(self._database.close)
        self._callers = Callers(
            stack.home,
            client_plans(
                jobs=order.jobs,
                seconds=order.seconds,
                seed=order.seed,
                clients=order.callers,
                long_share=order.long_share,
                poison_share=order.poison_share,
            ),
        )
        undo.callback(self._callers.stop)
        self._injection = Injection(
            schedule_faults(
                seed=order.seed,
                seconds=order.seconds,
                count=usual_count(order.seconds) if order.faults is None else order.faults,
                workers=order.workers,
                lease_s=stack.settings.worker.lease_s,
                kinds=order.kinds,
            ),
            stack,
            on_fault=view.fault,
            on_left_out=view.left_out,
        )
        undo.callback(self._injection.end_all)
        self._began = time.monotonic()
        self._look_at = 0.0
        self._ended = 0
        self._progress_at = 0.0

    def run(self) -> Report:
        """Load and faults, then healing, then rest, then the verdict."""
        self._view.say(f"starting {self._order.callers} callers")
        self._callers.start()
        self._callers.say("go")
        self._began = time.monotonic()
        self._go_on("breaking things", while_=lambda: self._now_s < self._order.seconds)
        self._injection.end_all()
        self._callers.say("finish")
        self._progress_at = self._now_s
        self._go_on("healing", while_=lambda: self._callers.are_running and not self._is_stalled)
        self._callers.say("give up")
        end_s = self._now_s + _READING_S
        self._go_on(
            "reading again", while_=lambda: self._callers.are_running and self._now_s < end_s
        )
        end_s = self._now_s + _REST_S
        self._go_on("coming to rest", while_=lambda: self._is_restless and self._now_s < end_s)
        self._view.say("stopping the workers")
        self._stack.stop_workers()
        self._view.say("checking")
        return self._verdict()

    @property
    def _now_s(self) -> float:
        return time.monotonic() - self._began

    @property
    def _is_stalled(self) -> bool:
        return self._now_s > self._progress_at + _STALLED_S

    @property
    def _is_restless(self) -> bool:
        try:
            return bool(messages_left(self._stack.redis.url, TIER))
        except Unavailable:
            return True

    def _go_on(self, phase: str, *, while_: Callable[[], bool]) -> None:
        while while_():
            self._stack.tend()
            self._injection.tick(self._now_s)
            self._look(phase)
            time.sleep(_TICK_S)

    def _look(self, phase: str) -> None:
        """Show how things stand, and see whether they move."""
        if self._now_s < self._look_at:
            return
        self._look_at = self._now_s + _PICTURE_S
        picture = Picture(
            phase=phase,
            at_s=self._now_s,
            seconds=self._order.seconds,
            wanted=self._order.jobs,
            jobs=count_states(self._database),
            workers=self._workers(),
        )
        if picture.ended > self._ended:
            self._ended, self._progress_at = picture.ended, self._now_s
        self._view.show(picture)

    def _workers(self) -> dict[str, str]:
        states = {}
        for worker in self._stack.workers:
            name = worker.child.name
            if name in self._injection.targets:
                states[name] = "hurt"
            elif worker.is_ready:
                states[name] = "up"
            else:
                states[name] = "starting" if worker.child.is_running else "down"
        return states

    def _verdict(self) -> Report:
        write_out(self._database, self._stack.home / "ledger")
        history = read_history(self._callers.histories)
        services = [self._stack.redis.child]
        if self._stack.postgres is not None:
            services.append(self._stack.postgres.child)
        facts = Facts(
            tier=TIER,
            max_attempts=self._stack.settings.worker.max_attempts,
            orphans=_outliving(self._stack, {child.pid for child in services}),
            kills=self._injection.hurt,
        )
        setup = Setup(
            workers=self._order.workers,
            seconds=self._order.seconds,
            seed=self._order.seed,
            ledger=self._order.ledger,
            faults={kind.value: self._injection.counts[kind] for kind in self._order.kinds},
        )
        failed = [Violation("unexpected_error", None, text) for text in self._callers.failed]
        found = check(history, self._database, self._stack.redis.url, facts)
        return make_report(history, self._database, facts, [*failed, *found], setup)


def _outliving(stack: DrillStack, known: Collection[int | None]) -> list[int]:
    """Processes that know the stack's home and have not ended after some seconds."""
    end = time.monotonic() + _ORPHAN_S
    while left := [pid for pid in stack.left_behind() if pid not in known]:
        if time.monotonic() > end:
            break
        time.sleep(_TICK_S)
    return left


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt; a shell may have told us to ignore them."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, _interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _be_undisturbed() -> None:
    """Let nobody interrupt us any more: what we started has to be stopped."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
