"""A buffer that flushes by size or by timer, whichever comes first."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

MAX_ITEMS: Final = 16
MAX_WAIT_S: Final = 0.05


class Coalescer(Generic[Item, Outcome]):
    """Items that are added concurrently are handled together; every adder gets its own outcome.

    ``handle`` returns one outcome for each item, in order; an outcome that is an exception is
    raised at its adder. When ``handle`` itself raises, all adders of that group get the error.
    """

    def __init__(
        self,
        handle: Callable[[list[Item]], Awaitable[Sequence[Outcome | Exception]]],
        *,
        max_items: int = MAX_ITEMS,
        max_wait_s: float = MAX_WAIT_S,
    ) -> None:
        self._handle = handle
        self._max_items = max_items
        self._max_wait_s = max_wait_s
        self._waiting: list[tuple[Item, asyncio.Future[Outcome]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._groups: set[asyncio.Task[None]] = set()

    async def add(self, item: Item) -> Outcome:
        """Add an item and wait for its outcome."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._waiting.append((item, future))
        if len(self._waiting) >= self._max_items:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(self._max_wait_s, self._send)
        return await future

    async def flush(self) -> None:
        """Handle what waits now, and wait until all groups are done."""
        self._send()
        while self._groups:
            await asyncio.gather(*self._groups, return_exceptions=True)

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        group, self._waiting = self._waiting, []
        if group:
            task = asyncio.get_running_loop().create_task(self._handle_group(group))
            self._groups.add(task)
            task.add_done_callback(self._groups.discard)

    async def _handle_group(self, group: list[tuple[Item, asyncio.Future[Outcome]]]) -> None:
        try:
            outcomes = await self._handle([item for item, _ in group])
            settled = list(zip(group, outcomes, strict=True))
        except Exception as error:  # noqa: BLE001 - every adder must hear of it
            settled = [(adder, error) for adder in group]
        for (_, future), outcome in settled:
            if future.done():
                continue  # its adder was cancelled
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
