"""The parts of a running server."""

import asyncio
from pathlib import Path

from scheduler import Table
from service.app import close_server, open_server
from service.observability.metrics import Readings
from service.settings import Settings

TABLE = Table({"lr": [0.5, 0.25, 0.125]})


def test_readings_are_what_the_parts_count(tmp_path: Path) -> None:
    """The readings for Prometheus have what the tables, the store and the connections have counted until then."""

    async def main() -> tuple[Readings, Readings]:
        server = open_server(Settings(data_dir=tmp_path))
        before = server.readings()
        await server.tables.publish(TABLE)
        await server.tables.get(TABLE.digest)
        server.executors.errors["objects"] += 2
        server.connections_closed["idle"] += 3
        after = server.readings()
        close_server(server)
        return before, after

    before, after = asyncio.run(main())
    assert (before.tables_published, before.cache_hits, before.cache_bytes) == (0, 0, 0)
    assert (after.tables_published, after.cache_hits) == (1, 1)
    assert 0 < TABLE.nbytes < after.cache_bytes < after.cache_capacity_bytes
    assert (after.store_errors["objects"], after.connections_closed) == (2, {"idle": 3})
    assert before.connections_closed == {}
