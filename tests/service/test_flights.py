"""One piece of work for all who wait for it."""

import asyncio

import pytest

from service.flights import SingleFlight


def test_concurrent_calls_share_one_run() -> None:
    """A thousand calls at once run the work once; one of them led, the others waited."""

    async def main() -> None:
        flights, runs = SingleFlight[int](), []

        async def work() -> int:
            runs.append(1)
            await asyncio.sleep(0.01)
            return 7

        results = await asyncio.gather(*(flights.run("a", work) for _ in range(1000)))
        assert runs == [1]
        assert [value for value, _ in results] == [7] * 1000
        assert sum(leads for _, leads in results) == 1
        assert flights.waits == 999

    asyncio.run(main())


def test_keys_do_not_wait_for_each_other() -> None:
    """Work for one key runs while another key's is stuck."""

    async def main() -> None:
        flights, gate = SingleFlight[str](), asyncio.Event()

        async def stuck() -> str:
            await gate.wait()
            return "late"

        async def quick() -> str:
            return "early"

        waiting = asyncio.create_task(flights.run("slow", stuck))
        await asyncio.sleep(0)
        assert await flights.run("fast", quick) == ("early", True)
        gate.set()
        assert await waiting == ("late", True)

    asyncio.run(main())


def test_a_failure_reaches_all_and_is_forgotten() -> None:
    """Failed work fails for every waiter, and the next call tries again."""

    async def main() -> None:
        flights, runs = SingleFlight[int](), []

        async def work() -> int:
            runs.append(1)
            await asyncio.sleep(0)
            if len(runs) == 1:
                raise OSError("first")
            return 2

        failed = await asyncio.gather(*(flights.run("a", work) for _ in range(5)), return_exceptions=True)
        assert [str(error) for error in failed] == ["first"] * 5
        assert await flights.run("a", work) == (2, True)

    asyncio.run(main())


@pytest.mark.parametrize("leavers", [1, 2])
def test_work_outlives_those_who_leave(leavers: int) -> None:
    """The work goes on when the one who began it, or everyone, is cancelled."""

    async def main() -> None:
        flights, finished = SingleFlight[int](), asyncio.Event()

        async def work() -> int:
            await asyncio.sleep(0.01)
            finished.set()
            return 3

        callers = [asyncio.create_task(flights.run("a", work)) for _ in range(2)]
        await asyncio.sleep(0)
        for caller in callers[:leavers]:
            caller.cancel()
        results = await asyncio.gather(*callers, return_exceptions=True)
        await asyncio.wait_for(finished.wait(), 5)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, leavers == 2]

    asyncio.run(main())
