"""The staggered semaphore: tasks run one at a time, and a few side by side while one is slow."""

import asyncio
from contextlib import AsyncExitStack

from service.concurrency.staggered_semaphore import StaggeredSemaphore


async def acquired(semaphore: StaggeredSemaphore, held: AsyncExitStack) -> bool:
    """Acquire the semaphore until the stack is closed."""
    await held.enter_async_context(semaphore.acquire())
    return True


def test_a_quick_task_runs_alone() -> None:
    """The next task is admitted when the last one ends, in the order of arrival."""
    order: list[int] = []

    async def one(semaphore: StaggeredSemaphore, number: int) -> None:
        async with semaphore.acquire():
            order.append(number)
            await asyncio.sleep(0)
            order.append(number)

    async def main() -> None:
        semaphore = StaggeredSemaphore(2, delay_seconds=60)
        await asyncio.gather(*(one(semaphore, number) for number in range(3)))
        assert semaphore.longest_held == 0.0

    asyncio.run(main())
    assert order == [0, 0, 1, 1, 2, 2]


def test_a_slow_task_does_not_block_the_next() -> None:
    """While a task runs longer than the delay the next one is admitted, up to the limit."""

    async def main() -> None:
        semaphore = StaggeredSemaphore(2, delay_seconds=0.01)
        async with AsyncExitStack() as slow, AsyncExitStack() as other:
            assert await acquired(semaphore, slow)
            assert await acquired(semaphore, other)
            third = asyncio.create_task(acquired(semaphore, slow))
            await asyncio.sleep(0.05)
            assert not third.done()
            assert semaphore.longest_held > 0.05
            await other.aclose()
            assert await third

    asyncio.run(main())


def test_a_cancelled_task_lets_the_next_one_in() -> None:
    """A task that is cancelled, while it waits or at the moment of its admission, does not keep the semaphore."""

    async def main() -> None:
        semaphore = StaggeredSemaphore(1, delay_seconds=0.0)
        async with AsyncExitStack() as held, AsyncExitStack() as last:
            assert await acquired(semaphore, held)
            waiting, admitted, next_one = (asyncio.create_task(acquired(semaphore, last)) for _ in range(3))
            await asyncio.sleep(0)
            waiting.cancel()
            await held.aclose()  # admits the second
            admitted.cancel()
            await asyncio.wait({waiting, admitted})
            assert waiting.cancelled()
            assert admitted.cancelled()
            assert await next_one

    asyncio.run(main())
