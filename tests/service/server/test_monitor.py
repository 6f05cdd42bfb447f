"""All connections are looked at, and no request waits for it."""

import asyncio
from collections import Counter

from service.server.deadlines import Deadlines
from service.server.monitor import DeadlineMonitor
from service.settings import Settings
from tests.support.servers.connections import PATIENCE, QUICK


def test_a_sweep_lets_requests_have_their_turn() -> None:
    """However many connections there are, few are looked at between two turns of the loop, and each once a sweep."""
    looked = Counter[int]()

    class Watched:
        def check_deadline(self, elapsed: float) -> None:
            looked[id(self)] += 1

        def abort(self) -> None:
            raise AssertionError

    async def most_at_once() -> int:
        connections = {Watched() for _ in range(1000)}
        monitor = DeadlineMonitor(Deadlines.of(Settings(**QUICK)))
        monitor.begin(connections, asyncio.get_running_loop())
        most = 0
        while looked.total() < 2 * len(connections):
            before = looked.total()
            await asyncio.sleep(0)
            most = max(most, looked.total() - before)
        assert set(looked.values()) == {2}
        connections.clear()
        return most

    assert asyncio.run(asyncio.wait_for(most_at_once(), PATIENCE)) == 16
