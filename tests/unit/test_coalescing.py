"""The coalescer: many adders, one call, an outcome for each."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from penstock_producer.coalescing import Coalescer
from penstock_shared.errors import InvalidRequest

LONG_S = 600.0


class Echo:
    """Handles groups, and remembers them; odd items are refused."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []

    async def __call__(self, items: list[int]) -> list[int | Exception]:
        self.groups.append(items)
        return [InvalidRequest(f"{item} is odd") if item % 2 else item * 10 for item in items]


def run(
    use: Callable[["Coalescer[int, int]"], Awaitable[object]],
    handle: Callable[[list[int]], Awaitable[Sequence[int | Exception]]],
    *,
    max_items: int = 4,
    max_wait_s: float = LONG_S,
) -> object:
    async def main() -> object:
        return await asyncio.wait_for(
            use(Coalescer(handle, max_items=max_items, max_wait_s=max_wait_s)), 30
        )

    return asyncio.run(main())


async def add_all(coalescer: "Coalescer[int, int]", items: Sequence[int]) -> list[object]:
    return list(await asyncio.gather(*map(coalescer.add, items), return_exceptions=True))


def test_a_full_group_goes_without_waiting_for_the_timer() -> None:
    echo = Echo()
    outcomes = run(lambda coalescer: add_all(coalescer, [0, 2, 4, 6, 8, 10, 12, 14]), echo)
    assert echo.groups == [[0, 2, 4, 6], [8, 10, 12, 14]]
    assert outcomes == [0, 20, 40, 60, 80, 100, 120, 140]


def test_the_timer_sends_what_is_there() -> None:
    echo = Echo()
    outcomes = run(lambda coalescer: add_all(coalescer, [2, 4]), echo, max_wait_s=0.01)
    assert (echo.groups, outcomes) == ([[2, 4]], [20, 40])


def test_a_flush_sends_what_is_there_and_waits_for_it() -> None:
    echo = Echo()

    async def use(coalescer: "Coalescer[int, int]") -> object:
        adding = asyncio.create_task(coalescer.add(2))
        await asyncio.sleep(0)
        await coalescer.flush()
        return adding.done() or await adding

    assert run(use, echo)
    assert echo.groups == [[2]]


def test_each_adder_gets_its_own_outcome() -> None:
    outcomes = run(lambda coalescer: add_all(coalescer, [0, 1, 2, 3]), Echo())
    assert isinstance(outcomes, list)
    assert (outcomes[0], outcomes[2]) == (0, 20)
    assert [str(outcomes[place]) for place in (1, 3)] == ["1 is odd", "3 is odd"]
    assert isinstance(outcomes[1], InvalidRequest)


def test_an_error_of_the_call_reaches_every_adder() -> None:
    async def fail(items: list[int]) -> list[int]:
        raise ConnectionError("the ledger is away")

    outcomes = run(lambda coalescer: add_all(coalescer, [0, 1, 2, 3]), fail)
    assert isinstance(outcomes, list)
    assert [type(outcome) for outcome in outcomes] == [ConnectionError] * 4


def test_too_few_outcomes_are_an_error_for_every_adder() -> None:
    async def lose_one(items: list[int]) -> list[int]:
        return items[1:]

    outcomes = run(lambda coalescer: add_all(coalescer, [0, 1, 2, 3]), lose_one)
    assert isinstance(outcomes, list)
    assert all(isinstance(outcome, ValueError) for outcome in outcomes)


def test_an_adder_that_was_cancelled_does_not_disturb_the_others() -> None:
    echo = Echo()

    async def use(coalescer: "Coalescer[int, int]") -> object:
        first, second = (asyncio.create_task(coalescer.add(item)) for item in (2, 4))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        await coalescer.flush()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    assert run(use, echo) == 40


def test_a_group_that_is_under_way_does_not_hold_up_the_next() -> None:
    release = asyncio.Event()
    groups: list[list[int]] = []

    async def first_is_slow(items: list[int]) -> list[int]:
        groups.append(items)
        if len(groups) == 1:
            await release.wait()
        return items

    async def use(coalescer: "Coalescer[int, int]") -> object:
        slow = asyncio.create_task(add_all(coalescer, [0, 1]))
        await asyncio.sleep(0)
        quick = await add_all(coalescer, [2, 3])
        release.set()
        return [*quick, *await slow]

    assert run(use, first_is_slow, max_items=2) == [2, 3, 0, 1]
