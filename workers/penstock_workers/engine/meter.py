"""The meter: divides the price of the engine's time among the requests that were in it.

Every nanosecond since the start is booked exactly once, to requests in proportion to the KV-cache
tokens that they hold, or to idle when there are none. Amounts are integer picodollars, and
booked + idle = price x time to the last of them.
"""

from collections.abc import Mapping

from penstock_shared.money import cost_of


class Meter:
    """Pure bookkeeping; whoever steps the engine tells it what time it is."""

    def __init__(self, price_per_hour_pusd: int, started_ns: int) -> None:
        self._price = price_per_hour_pusd
        self._started_ns = started_ns
        self._paid = 0
        self._idle = 0
        self._open: dict[str, int] = {}

    @property
    def paid(self) -> int:
        """Price of the time booked so far."""
        return self._paid

    @property
    def idle(self) -> int:
        """The part of it that no request used."""
        return self._idle

    def advance(self, now_ns: int, held_tokens: Mapping[str, int]) -> None:
        """Book the time since the last call to the requests that held these tokens in it."""
        total = cost_of(self._price, now_ns - self._started_ns)
        amount = total - self._paid
        self._paid = total
        weight = sum(held_tokens.values())
        if weight == 0:
            self._idle += amount
            return
        seen = given = 0
        for request_id, tokens in held_tokens.items():
            seen += tokens
            upto = amount * seen // weight
            self._open[request_id] = self._open.get(request_id, 0) + upto - given
            given = upto

    def close(self, request_id: str) -> int:
        """Take a request off the meter; returns what it cost."""
        return self._open.pop(request_id, 0)
