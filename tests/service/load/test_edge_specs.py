"""Legal specs at the edges of their ranges, sent to a real server."""

from random import Random

import pytest
import urllib3

from scheduler import KINDS, Spec
from tests.support.campaign import cases
from tests.support.schedules.edges import legal, wrapped
from tests.support.servers.process import ServerProcess

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("count", [1, pytest.param(cases(10), marks=pytest.mark.slow(15), id="many")])
def test_no_legal_spec_makes_a_server_fail(shared_server: ServerProcess, count: int) -> None:
    """Random specs of every kind, alone and in a composite, get a table or a refusal that names what is wrong."""
    random, tables = Random(10), f"{shared_server.url}/v1/tables"
    with urllib3.PoolManager() as pool:
        for kind in sorted(KINDS) * count:
            schedule = legal(kind, random, depth=2)
            for asked in (schedule, *wrapped(schedule, random)[:: random.randint(3, 12)]):
                steps = min(random.choice([1, 50, 5000]), asked.end or 5000)
                spec = Spec(schedule=asked, total_steps=steps).canonical()
                response = pool.request("POST", tables, body=spec, headers=JSON, retries=False)
                assert response.status in (200, 201, 422), (response.status, response.data, spec)
        assert pool.request("GET", f"{shared_server.url}/livez").status == 200
