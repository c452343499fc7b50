"""Faults as they are due: begun, ended, and remembered."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from penstock_workers.drill.faults import fault_of
from penstock_workers.drill.schedule import FaultKind, PlannedFault
from penstock_workers.drill.stage import Fault, Hurt, Stage

_PATIENCE_S: Final = 15.0  # for so long a fault waits until there is something to hurt


class Happened(NamedTuple):
    """A fault that was begun, for whoever watches."""

    at_s: float
    kind: FaultKind
    target: str
    lasts_s: float


class _Due(NamedTuple):
    planned: PlannedFault
    fault: Fault


class _Active(NamedTuple):
    ends_s: float
    fault: Fault


class Injection:
    """Lets planned faults happen to a stage; ``tick`` is called often, by one thread."""

    def __init__(
        self,
        planned: Sequence[PlannedFault],
        stage: Stage,
        *,
        on_fault: Callable[[Happened], None],
        on_left_out: Callable[[PlannedFault], None],
    ) -> None:
        self._waiting = [_Due(one, fault_of(one, stage)) for one in planned]
        self._active: list[_Active] = []
        self._on_fault = on_fault
        self._on_left_out = on_left_out
        self.counts: Counter[FaultKind] = Counter()
        self.hurt: list[Hurt] = []

    @property
    def targets(self) -> set[str]:
        """What suffers now."""
        return {active.fault.target for active in self._active}

    def tick(self, now_s: float) -> None:
        """End what is over and begin what is due, ``now_s`` seconds after the beginning."""
        for active in [one for one in self._active if one.ends_s <= now_s]:
            self._active.remove(active)
            active.fault.end()
        for due in [one for one in self._waiting if one.planned.at_s <= now_s]:
            if due.fault.target not in self.targets and due.fault.begin():
                self._waiting.remove(due)
                self._note(due, now_s)
            elif now_s > due.planned.at_s + _PATIENCE_S:
                self._waiting.remove(due)
                self._on_left_out(due.planned)

    def end_all(self) -> None:
        """Let all be over; what has not begun never will."""
        for due in self._waiting:
            self._on_left_out(due.planned)
        self._waiting = []
        while self._active:
            self._active.pop().fault.end()

    def _note(self, due: _Due, now_s: float) -> None:
        planned, fault = due
        if planned.lasts_s:
            self._active.append(_Active(now_s + planned.lasts_s, fault))
        self.counts[planned.kind] += 1
        if fault.hurt is not None:
            self.hurt.append(fault.hurt)
        self._on_fault(Happened(now_s, planned.kind, fault.target, planned.lasts_s))
