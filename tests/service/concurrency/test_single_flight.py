"""Single flight: concurrent calls for a key share one execution of the work."""

import asyncio

from service.concurrency.single_flight import SingleFlight


def test_concurrent_calls_share_one_run() -> None:
    """A thousand calls at once run the work once; one of them started it, the others waited."""

    async def main() -> None:
        single_flight, runs = SingleFlight[int](), []

        async def work() -> int:
            runs.append(1)
            await asyncio.sleep(0.01)
            return 7

        results = await asyncio.gather(*(single_flight.run("a", work) for _ in range(1000)))
        assert runs == [1]
        assert [value for value, _ in results] == [7] * 1000
        assert sum(started for _, started in results) == 1
        assert single_flight.waits == 999

    asyncio.run(main())


def test_keys_do_not_wait_for_each_other() -> None:
    """Work for one key runs while another key's is stuck."""

    async def main() -> None:
        single_flight, gate = SingleFlight[str](), asyncio.Event()

        async def stuck() -> str:
            await gate.wait()
            return "late"

        async def quick() -> str:
            return "early"

        waiting = asyncio.create_task(single_flight.run("slow", stuck))
        await asyncio.sleep(0)
        assert await single_flight.run("fast", quick) == ("early", True)
        gate.set()
        assert await waiting == ("late", True)

    asyncio.run(main())


def test_a_failure_reaches_every_caller_and_is_not_kept() -> None:
    """Work that fails raises in every call that waits, and the next call runs it again."""

    async def main() -> None:
        single_flight, runs = SingleFlight[int](), []

        async def work() -> int:
            runs.append(1)
            await asyncio.sleep(0)
            if len(runs) == 1:
                raise OSError("first")
            return 2

        failed = await asyncio.gather(*(single_flight.run("a", work) for _ in range(5)), return_exceptions=True)
        assert [str(error) for error in failed] == ["first"] * 5
        assert await single_flight.run("a", work) == (2, True)

    asyncio.run(main())


def test_work_goes_on_while_one_call_waits() -> None:
    """The work goes on when the call that started it is cancelled, as long as another call waits."""

    async def main() -> None:
        single_flight = SingleFlight[int]()

        async def work() -> int:
            await asyncio.sleep(0.01)
            return 3

        callers = [asyncio.create_task(single_flight.run("a", work)) for _ in range(2)]
        await asyncio.sleep(0)
        callers[0].cancel()
        results = await asyncio.gather(*callers, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert results[1] == (3, False)

    asyncio.run(main())


def test_work_that_nobody_waits_for_is_cancelled() -> None:
    """When the last call is cancelled, so is the work, and the next call starts it again."""

    async def main() -> None:
        single_flight, ends = SingleFlight[int](), list[str]()

        async def work() -> int:
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                ends.append("cancelled")
                raise
            ends.append("finished")
            return 4

        callers = [asyncio.create_task(single_flight.run("a", work)) for _ in range(3)]
        await asyncio.sleep(0)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        assert await single_flight.run("a", work) == (4, True)
        assert ends == ["cancelled", "finished"]

    asyncio.run(main())
