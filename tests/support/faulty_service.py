"""Asking a server whose parts fail."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import Any

import urllib3

from scheduler import Spec, Table
from tests.support.servers.process import ServerProcess

RETRYABLE = {"storage-unavailable", "database-unavailable", "table-damaged", "not-ready"}


def spec(steps: int) -> dict[str, Any]:
    """A small spec, another one for each number of steps."""
    return {"schedule": {"kind": "custom.LinearWarmup", "base_lr": 0.5, "warmup_steps": 8}, "total_steps": steps}


def table(steps: int) -> Table:
    """Its table."""
    return Spec.model_validate_json(json.dumps(spec(steps))).table()


class Asking:
    """Asks a server for tables, and accepts only the right bytes, or an error that says to retry."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._pool = urllib3.PoolManager(retries=False, timeout=60)

    def make(self, steps: int) -> bool:
        """Whether the table of a spec is made, or found."""
        return self._is_served(self._pool.request("POST", f"{self._server.url}/v1/tables", json=spec(steps)))

    def fetch(self, steps: int) -> bool:
        """Whether the table is served; every value of it is compared."""
        path = f"/v1/tables/{table(steps).digest}.safetensors"
        response = self._pool.request("GET", self._server.url + path)
        served = self._is_served(response)
        assert not served or Table.from_bytes(response.data).digest == table(steps).digest
        return served

    def parts(self) -> dict[str, str]:
        """The server's report on its parts."""
        parts: dict[str, str] = self._pool.request("GET", f"{self._server.url}/readyz?verbose=1").json()["parts"]
        return parts

    def _is_served(self, response: urllib3.BaseHTTPResponse) -> bool:
        if response.status in (200, 201):
            return True
        problem = response.json()
        assert (response.status, problem["code"] in RETRYABLE, problem["retryable"]) == (503, True, True), problem
        assert int(response.headers["retry-after"]) >= 1
        return False


def check(asking: Asking, fault: AbstractContextManager[object], *, cold: bool, stored: bool) -> None:
    """While the fault lasts the warm table is served; afterwards everything is, without a restart.

    Args:
        asking: a server.
        fault: for how long.
        cold: whether a new table may be made all the same.
        stored: whether the stored table may be read all the same.
    """
    with fault:
        assert asking.fetch(16)
        assert asking.make(16)
        assert asking.make(20) <= cold
        assert asking.fetch(12) <= stored
        assert asking.fetch(16)
    assert asking.make(20)
    assert asking.fetch(20)
    assert asking.fetch(12)
