"""A store and a server that are killed while they write, and come back."""

import json
import random
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import urllib3

from scheduler import Spec, Table
from service.storage.local import LocalStore
from tests.support.campaign import cases
from tests.support.servers.process import ServerProcess

WRITER = Path(__file__).with_name("killed_writer.py")
KEY = f"tables/ab/{'ab' * 32}.safetensors"  # what the writer puts, and what is in it
CONTENT = b"head" + bytes(100_000) + b"tail"

STEPS = 100_000
WRITERS = 4  # at once: a kill meets several writes, each at another of its steps


def spec(number: int) -> dict[str, Any]:
    """A spec like no other number's."""
    rate = 1 / (1 + number)
    schedule = {"kind": "custom.WarmupWithDecay", "base_lr": rate, "warmup_steps": 10, "total_steps": STEPS}
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
                assert answer.status == 201, answer.data
                self.answered[number] = answer.json()["digest"]
                number += 1


@pytest.mark.parametrize("action", ["put", "put again", "set aside", "delete"])
@pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.slow(2))])
def test_a_store_killed_at_any_step_has_no_half_object(tmp_path: Path, stride: int, action: str) -> None:
    """Killed at each step of a write in turn, a store opens again with each object whole or absent, and tidied."""
    command = [sys.executable, str(WRITER), str(tmp_path), action, str(stride)]
    steps = int(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
    assert steps > 100
    for step in range(0, steps + stride, stride):
        with closing(LocalStore(tmp_path / str(step))) as store:
            check_store(store, action)


def check_store(store: LocalStore, action: str) -> None:
    """The object is whole, or absent where that can be; put again, it is there."""
    assert list((store.directory / "tmp").iterdir()) == []
    found = [bytes(data)] if (data := store.get(KEY)) is not None else []
    assert found == [CONTENT] or (found == [] and action != "put again")
    if action == "set aside":
        assert [*found, *(path.read_bytes() for path in (store.directory / "damaged").iterdir())] == [CONTENT]
    assert list(store.keys()) == [(KEY, len(CONTENT))] * len(found)
    assert store.put(KEY, [CONTENT]) == (found == [])
    assert bytes(store.get(KEY) or b"") == CONTENT


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("rounds", [2, pytest.param(cases(15), marks=pytest.mark.slow(20), id="many")])
def test_a_killed_server_serves_no_damaged_table(tmp_path: Path, rounds: int) -> None:
    """Killed at random moments while writing, a server keeps all that it answered and serves nothing damaged."""
    moments = random.Random(rounds)
    answered: dict[int, str] = {}
    for number in range(rounds):
        with ServerProcess(tmp_path) as server:
            assert list((tmp_path / "tmp").iterdir()) == []
            writers = [Writer(server.url, 1000 * (WRITERS * number + writer)) for writer in range(WRITERS)]
            for writer in writers:
                writer.start()
            while writers[0].is_alive() and not writers[0].answered:  # the process that computes starts with the server
                time.sleep(0.01)
            writers[0].join(moments.uniform(0.0, 0.4))
            server.kill()
            for writer in writers:
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
