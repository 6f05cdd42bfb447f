"""Turns: one at a time, and a few where that one is slow."""

import asyncio
from contextlib import AsyncExitStack

from service.concurrency.turns import Turns


async def begun(turns: Turns, held: AsyncExitStack) -> bool:
    """Take a turn that lasts until the stack is closed."""
    await held.enter_async_context(turns.take())
    return True


def test_a_quick_turn_is_alone() -> None:
    """The next turn begins when the last one ends, in the order of asking."""
    order: list[int] = []

    async def one(turns: Turns, number: int) -> None:
        async with turns.take():
            order.append(number)
            await asyncio.sleep(0)
            order.append(number)

    async def main() -> None:
        turns = Turns(2, patience=60)
        await asyncio.gather(*(one(turns, number) for number in range(3)))
        assert turns.longest == 0.0

    asyncio.run(main())
    assert order == [0, 0, 1, 1, 2, 2]


def test_a_slow_turn_is_not_waited_for() -> None:
    """Beside a turn that lasts longer than its patience the next one begins, up to as many as there may be."""

    async def main() -> None:
        turns = Turns(2, patience=0.01)
        async with AsyncExitStack() as slow, AsyncExitStack() as other:
            assert await begun(turns, slow)
            assert await begun(turns, other)
            third = asyncio.create_task(begun(turns, slow))
            await asyncio.sleep(0.05)
            assert not third.done()
            assert turns.longest > 0.05
            await other.aclose()
            assert await third

    asyncio.run(main())


def test_who_leaves_gives_the_turn_back() -> None:
    """A turn whose taker is cancelled, while waiting or at the moment of its turn, is the next one's."""

    async def main() -> None:
        turns = Turns(1, patience=0.0)
        async with AsyncExitStack() as held, AsyncExitStack() as last:
            assert await begun(turns, held)
            waiting, given, next_one = (asyncio.create_task(begun(turns, last)) for _ in range(3))
            await asyncio.sleep(0)
            waiting.cancel()
            await held.aclose()  # now it is the turn of the second
            given.cancel()
            await asyncio.wait({waiting, given})
            assert waiting.cancelled()
            assert given.cancelled()
            assert await next_one

    asyncio.run(main())
