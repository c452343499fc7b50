"""The meter: divides the price of the engine's time among the requests that were in it.

Every nanosecond since the start is booked exactly once: to the requests that were inside, in
proportion to their weights, or to idle when none was. What a weight is, is the rule of the tier
(see ``weighing``). Amounts are integer picodollars, and what was closed, what is open and what was
idle add up to price x time, to the last of them.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from penstock_shared.money import cost_of

_GRAIN_BITS: Final = 64  # open accounts are kept in grains of 1 / 2**64 picodollars


class Meter:
    """Pure bookkeeping; whoever steps the engine tells it what time it is.

    A unit of weight has the same price for all in a step, so that equal requests pay the same and
    one that weighs twice as much pays twice. What that price leaves over, far less than a
    picodollar, is divided with the next step's. A request pays whole picodollars when it leaves;
    the fraction stays with those inside, and is idle after the last.
    """

    def __init__(self, price_per_hour_pusd: int, started_ns: int) -> None:
        self._price = price_per_hour_pusd
        self._started_ns = started_ns
        self._paid = 0  # picodollars
        self._idle = 0  # picodollars
        self._open: defaultdict[str, int] = defaultdict(int)  # grains
        self._rest = 0  # grains

    @property
    def paid(self) -> int:
        """Price of the time booked so far, in picodollars."""
        return self._paid

    @property
    def idle(self) -> int:
        """The part of it that no request used, in picodollars."""
        return self._idle

    def advance(self, now_ns: int, weights: Mapping[str, int]) -> None:
        """Book the time since the last call to the requests that were inside.

        Those that weigh nothing pay nothing, unless none weighs anything: then all pay the same.
        """
        total = cost_of(self._price, now_ns - self._started_ns)
        amount = (total - self._paid << _GRAIN_BITS) + self._rest
        self._paid = total
        whole = sum(weights.values())
        if len(weights) == 1 or not whole:  # the one that is alone pays all, without rounding
            weights = dict.fromkeys(weights, 1)
            whole = len(weights)
        if not whole:
            self._rest = amount
            self._idle_away()
            return
        unit, accounts = amount // whole, self._open
        for request_id, weight in weights.items():
            accounts[request_id] += unit * weight
        self._rest = amount - unit * whole

    def close(self, request_id: str) -> int:
        """Take a request off the meter; returns what it cost, in picodollars."""
        grains = self._open.pop(request_id, 0)
        cost = grains >> _GRAIN_BITS
        self._rest += grains - (cost << _GRAIN_BITS)
        if not self._open:
            self._idle_away()
        return cost

    def _idle_away(self) -> None:
        """Nobody is inside: whole picodollars that nobody bore were idle."""
        self._idle += self._rest >> _GRAIN_BITS
        self._rest &= (1 << _GRAIN_BITS) - 1
