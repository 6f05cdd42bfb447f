"""A server that is killed while it writes, and comes back."""

import json
import random
import threading
from pathlib import Path
from typing import Any

import pytest
import urllib3

from benchmarks.http_common import ServerProcess
from scheduler import Spec, Table

STEPS = 100_000


def spec(number: int) -> dict[str, Any]:
    """A spec like no other number's."""
    schedule = {"kind": "custom.WarmupWithDecay", "base_lr": 0.1, "warmup_steps": 10 + number, "total_steps": STEPS}
    return {"schedule": schedule, "total_steps": STEPS}


class Writer(threading.Thread):
    """Posts one new spec after the other, until the server is gone; `answered` has the digests by number."""

    def __init__(self, url: str, first: int) -> None:
        super().__init__()
        self.answered: dict[int, str] = {}
        self._url = url
        self._first = first

    def run(self) -> None:
        with urllib3.PoolManager(retries=False) as pool:
            number = self._first
            while True:
                try:
                    answer = pool.request("POST", f"{self._url}/v1/tables", json=spec(number), timeout=30)
                except urllib3.exceptions.HTTPError:
                    return
                self.answered[number] = answer.json()["digest"]
                number += 1


@pytest.mark.parametrize("rounds", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_a_killed_server_serves_no_damaged_table(tmp_path: Path, rounds: int) -> None:
    """Killed at random moments while writing, a server keeps all that it answered and serves nothing damaged."""
    moments = random.Random(rounds)
    answered: dict[int, str] = {}
    for number in range(rounds):
        with ServerProcess(tmp_path) as server:
            assert list((tmp_path / "tmp").iterdir()) == []
            writer = Writer(server.url, 1000 * number)
            writer.start()
            writer.join(moments.uniform(0.02, 0.4))
            server.kill()
            writer.join(30)
            answered |= writer.answered
        assert len(list((tmp_path / "tmp").iterdir())) <= 4
    assert answered
    with ServerProcess(tmp_path) as server:
        check(server, tmp_path, answered)
        assert server.counters()["damaged"] == 0
        assert server.stop() == (0, "")


def check(server: ServerProcess, data: Path, answered: dict[int, str]) -> None:
    """Every table in the directory, and every one that was ever answered, is served and is what its name says."""
    stored = {path.stem for path in data.glob("tables/*/*.safetensors")}
    assert set(answered.values()) <= stored
    for digest in stored:
        assert Table.from_bytes(server.get(f"/v1/tables/{digest}.safetensors")).digest == digest
    with urllib3.PoolManager() as pool:
        for number, digest in answered.items():
            answer = pool.request("POST", f"{server.url}/v1/tables", json=spec(number))
            assert (answer.status, answer.json()["digest"]) == (200, digest)
    number, digest = next(iter(answered.items()))
    assert Table.compute(Spec.model_validate_json(json.dumps(spec(number)))).digest == digest
