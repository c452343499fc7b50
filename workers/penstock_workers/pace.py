"""Pace: how fast an engine answers lines, and whether a search in the cache would hold it up."""

from typing import Final

_WEIGHT: Final = 0.2  # of the newest figure in a mean
_AGAIN_S: Final = 300.0  # after so long a search is tried again: other lines take another time
_LONGEST_S: Final = 0.1  # of a search: who comes by message waits for its end


class Pace:
    """Means of what was seen lately. Times are seconds; the caller has the clock.

    The engine's is learned while every seat is taken, and when they fell empty sooner than it had
    promised; a search's when one is made.
    """

    def __init__(self) -> None:
        self._answer_s: float | None = None  # of a line, when the engine is full
        self._search_s: float | None = None  # of a line
        self._searched_at = 0.0
        self._since: tuple[float, int] | None = None  # when so many were inside, all seats taken

    def begun(self, lines: int, now_s: float, *, inside: int) -> None:
        """So many lines come in; ``inside`` are those before them beyond the engine's seats."""
        if self._since is not None:
            start_s, before = self._since
            self._learn(now_s - start_s, before - inside, is_full=inside >= 0)
        self._since = (now_s, inside + lines) if inside >= 0 else None

    def searched(self, lines: int, seconds: float, now_s: float) -> None:
        """A search for so many lines has ended."""
        self._search_s = _mean(self._search_s, seconds / lines)
        self._searched_at = now_s

    def allows(self, lines: int, now_s: float, *, ahead: int) -> bool:
        """Whether a search is short, and shorter than the engine's work on those ``ahead``."""
        if ahead <= 0:
            return False
        if self._search_s is None or now_s - self._searched_at > _AGAIN_S:
            return True
        takes_s = lines * self._search_s
        is_short = takes_s <= _LONGEST_S
        return is_short and self._answer_s is not None and takes_s <= ahead * self._answer_s

    def _learn(self, seconds: float, ended: int, *, is_full: bool) -> None:
        if ended <= 0:
            return
        newest = seconds / ended
        if is_full:
            self._answer_s = _mean(self._answer_s, newest)
        elif self._answer_s is not None:
            self._answer_s = min(self._answer_s, newest)  # it may have waited for more


def _mean(before: float | None, newest: float) -> float:
    return newest if before is None else before + _WEIGHT * (newest - before)
