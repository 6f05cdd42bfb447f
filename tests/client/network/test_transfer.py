"""How many bytes a worker moves for a table, and how many clients come through an outage."""

from __future__ import annotations

from pathlib import Path

import pytest

from client import Client
from scheduler.custom import WarmupWithDecay
from service.server.file_limit import raise_file_limit
from tests.support.client.outage import RIGHT, Habits, outage
from tests.support.servers.fault_profiles import REFUSED
from tests.support.servers.fault_proxy import FaultProxy
from tests.support.servers.process import ServerProcess

STEPS = 1_000_000


def test_a_worker_that_computes_moves_a_five_hundredth_of_the_table(
    shared_server: ServerProcess, tmp_path: Path
) -> None:
    """Computing a table of 8 MB moves at most 16 kB, heads included, and opening it from the cache nothing."""
    schedule = WarmupWithDecay(5e-4, STEPS // 10, STEPS, min_lr=1e-6)
    with FaultProxy(shared_server.port) as proxy:
        with Client(proxy.url, cache=tmp_path) as client:
            table = client.fetch(schedule, on_unreachable="error")
        moved = proxy.counts.sent + proxy.counts.received
        assert 0 < moved <= table.layout.nbytes / 500
        with Client(proxy.url, cache=tmp_path) as client:
            assert client.fetch(schedule, on_unreachable="error") == table
        assert proxy.counts.sent + proxy.counts.received == moved


@pytest.mark.slow(50)
def test_many_clients_come_through_an_outage_and_back_one_by_one(shared_server: ServerProcess) -> None:
    """500 clients that are refused for 10 s all get their table, and the service no herd of them afterwards."""
    raise_file_limit(2000)
    with Client(shared_server.url, cache=False) as client:
        digest = client.fetch(WarmupWithDecay(5e-4, 100, 1000)).digest
    with FaultProxy(shared_server.port) as proxy:
        seen = outage(proxy, Habits(digest, period=5.0), clients=500, profile=REFUSED, before=15.0, lasts=10.0)
    assert set(seen.calls) == {RIGHT}
    assert seen.ratio < 2
