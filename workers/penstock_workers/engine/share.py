"""The share: which steps background requests may take part in while foreground requests wait."""

import math
from collections import deque
from typing import Final

_SAMPLES: Final = 9  # light steps, of which the shortest counts: it is the least disturbed
_LOOK: Final = 32  # full steps in a row, then a light one shows what it takes now


class Share:
    """Pure bookkeeping of one engine; whoever steps it says how long each step took.

    While both kinds are inside, a full step computes all requests and a light one those in the
    foreground only. A full step of T seconds gives the foreground what a light one of l seconds
    would have given: it makes a debt of T - slowdown x l. A light step of t seconds pays off
    (slowdown - 1) x t, and the next full step waits until all is paid. So the foreground is slower
    by the factor ``slowdown`` (more than 1) at most, and the background never starves. Where full
    steps take hardly longer than light ones, no debt is made and all steps are full.
    """

    def __init__(self, slowdown: float) -> None:
        if not 1 < slowdown < math.inf:
            raise ValueError(f"a slowdown is more than 1 and finite, not {slowdown}")
        self._slowdown = slowdown
        self._debt_s = 0.0
        self._last_full_s = 0.0
        self._light_s: deque[float] = deque(maxlen=_SAMPLES)
        self._full_in_a_row = 0

    def begin(self, waited_s: float) -> None:
        """Foreground and background meet; a step of ``waited_s`` kept the foreground waiting."""
        self._debt_s = waited_s
        self._last_full_s = waited_s or self._last_full_s
        self._light_s.clear()
        self._full_in_a_row = 0

    def next_is_full(self, under_way: int = 0) -> bool:
        """Decide the next step, while so many full ones were begun that are not booked yet."""
        if self._full_in_a_row + under_way >= _LOOK:
            return False
        return self._debt_s + under_way * max(0.0, self._debt_of(self._last_full_s)) <= 0

    def book_full(self, seconds: float) -> None:
        """A step computed both kinds."""
        self._debt_s = max(0.0, self._debt_s + self._debt_of(seconds))
        self._last_full_s = seconds
        self._full_in_a_row += 1

    def book_light(self, seconds: float, *, has_prompts: bool = False) -> None:
        """A step computed the foreground only; one with prompts says nothing about the others."""
        self._debt_s = max(0.0, self._debt_s - (self._slowdown - 1) * seconds)
        if not has_prompts:
            self._light_s.append(seconds)
        self._full_in_a_row = 0

    def forgive(self) -> None:
        """A step computed nothing: nobody in the foreground could use it."""
        self._debt_s = 0.0
        self._full_in_a_row = 0

    def _debt_of(self, full_s: float) -> float:
        return full_s - self._slowdown * min(self._light_s, default=0.0)
