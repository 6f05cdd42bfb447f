"""A real server whose PostgreSQL is stopped, killed and frozen while workers ask for their runs."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.support.servers.postgres import PostgresServer
from tests.support.servers.process import ServerProcess

Fault = Callable[[PostgresServer], None]
SPEC = {"schedule": {"kind": "Constant", "value": 0.5}, "total_steps": 4}


@pytest.mark.slow(15)
@pytest.mark.parametrize("fault", [PostgresServer.stop, PostgresServer.kill, PostgresServer.pause])
def test_known_heads_are_served_while_the_database_is_away(
    fragile_postgres: PostgresServer, tmp_path: Path, fault: Fault
) -> None:
    """A head that was asked for is served, flagged stale with its age; the rest is a 503 that says to retry."""
    pool = urllib3.PoolManager(retries=False, timeout=60)
    with ServerProcess(tmp_path / "data", database_url=fragile_postgres.url(), database_seconds=2) as server:

        def ask(method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
            return pool.request(method, f"{server.url}/v1/runs/{path}", **options)

        for name in ("a/known", "a/unknown"):
            assert ask("PUT", name, json={"spec": SPEC}, headers={"if-none-match": "*"}).status == 201
        fresh = ask("GET", "a/known").json()
        fault(fragile_postgres)
        time.sleep(2.5)
        for condition in ({}, {"if-none-match": '"v1"'}):
            stale = ask("GET", "a/known", headers=condition)
            assert stale.status == (304 if condition else 200)
            assert int(stale.headers["age"]) >= 2
            if not condition:
                assert stale.json()["age_seconds"] >= 2
                assert stale.json() == {**fresh, "stale": True, "age_seconds": stale.json()["age_seconds"]}
        moved = ask("PUT", "a/known", json={"spec": SPEC}, headers={"if-match": '"v1"'})
        for refused in (moved, ask("GET", "a/known/versions"), ask("GET", "b/never")):
            assert (refused.status, refused.json()["retryable"]) == (503, True), refused.data
            assert refused.json()["code"] == "database-unavailable"
        fragile_postgres.resume()
        if not fragile_postgres.is_running:
            fragile_postgres.start()
        for _ in range(100):
            again = ask("GET", "a/known")
            if not again.json()["stale"]:
                break
            time.sleep(0.1)
        assert (again.json()["stale"], "age" in again.headers) == (False, False)
        assert ask("GET", "a/unknown").status == 200
