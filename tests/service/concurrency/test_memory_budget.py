"""The memory budget: acquired and released by concurrent tasks."""

import asyncio

from service.concurrency.memory_budget import MemoryBudget


def test_tasks_are_served_in_the_order_of_arrival() -> None:
    """No more is granted than is free, and a small request waits behind a large one that came before."""

    async def main() -> None:
        budget, order = MemoryBudget(10), list[str]()

        async def hold(name: str, nbytes: int) -> None:
            async with budget.acquire(nbytes):
                order.append(name)
                await asyncio.sleep(0)

        async with budget.acquire(6):
            waiting = [asyncio.create_task(hold(name, size)) for name, size in [("large", 8), ("small", 1)]]
            await asyncio.sleep(0.01)
            assert order == []
        await asyncio.gather(*waiting)
        assert order == ["large", "small"]

    asyncio.run(main())


def test_a_cancelled_task_holds_no_memory() -> None:
    """A task that is cancelled, while it waits or at the moment of its grant, takes nothing from the budget."""

    async def main() -> None:
        budget = MemoryBudget(10)

        async def hold() -> None:
            async with budget.acquire(10):
                await asyncio.sleep(0)

        held = budget.acquire(10)
        await held.__aenter__()
        waiting, granted = asyncio.create_task(hold()), asyncio.create_task(hold())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        await held.__aexit__(None, None, None)  # grants `granted`
        granted.cancel()
        await asyncio.gather(waiting, granted, return_exceptions=True)
        async with asyncio.timeout(60), budget.acquire(10):
            pass

    asyncio.run(main())


def test_a_request_larger_than_the_budget_gets_all_of_it() -> None:
    """A request beyond the whole budget is granted when all of it is free, and releases all of it."""

    async def main() -> None:
        budget = MemoryBudget(10)
        async with asyncio.timeout(60):
            async with budget.acquire(11):
                pass
            async with budget.acquire(10):
                pass

    asyncio.run(main())
