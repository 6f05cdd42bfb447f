"""Memory that is lent."""

import asyncio

from service.concurrency.memory_budget import MemoryBudget


def test_who_finds_none_left_waits_its_turn() -> None:
    """No more is lent than there is, and nobody overtakes: a small wish waits behind a large one."""

    async def main() -> None:
        budget, order = MemoryBudget(10), list[str]()

        async def borrow(name: str, nbytes: int) -> None:
            async with budget.acquire(nbytes):
                order.append(name)
                await asyncio.sleep(0)

        async with budget.acquire(6):
            waiting = [asyncio.create_task(borrow(name, size)) for name, size in [("large", 8), ("small", 1)]]
            await asyncio.sleep(0.01)
            assert order == []
        await asyncio.gather(*waiting)
        assert order == ["large", "small"]

    asyncio.run(main())


def test_who_leaves_gives_way() -> None:
    """One who is cancelled while waiting, or just when its turn came, takes nothing with it."""

    async def main() -> None:
        budget = MemoryBudget(10)

        async def borrow() -> None:
            async with budget.acquire(10):
                await asyncio.sleep(0)

        held = budget.acquire(10)
        await held.__aenter__()
        waiting, called = asyncio.create_task(borrow()), asyncio.create_task(borrow())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        await held.__aexit__(None, None, None)  # the turn of `called` comes now
        called.cancel()
        await asyncio.gather(waiting, called, return_exceptions=True)
        async with asyncio.timeout(5), budget.acquire(10):
            pass

    asyncio.run(main())


def test_who_wants_more_than_there_is_gets_all() -> None:
    """A wish beyond the whole is granted when all is there, and keeps nobody waiting for ever."""

    async def main() -> None:
        budget = MemoryBudget(10)
        async with asyncio.timeout(5):
            async with budget.acquire(11):
                pass
            async with budget.acquire(10):
                pass

    asyncio.run(main())
