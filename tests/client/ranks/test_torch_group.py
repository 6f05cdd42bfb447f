"""Ranks in processes of their own, joined by gloo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scheduler import Table
from tests.support.client.ranks import FolderService
from tests.support.client.tables import RATES, make_table

WORKER = Path(__file__).with_name("sharing_worker.py")
SIZE = 3


def run_ranks(folder: Path, port: int, *, dead: int) -> dict[str, list[dict[str, Any]]]:
    """What each rank reported, by the name of what it did."""
    (folder / "lonely").mkdir()
    (folder / "service").mkdir()
    service = FolderService(folder / "service")
    service.move("team/bert", make_table(RATES[::-1]))
    service.move("team/bert", make_table())
    FolderService(folder / "lonely").away.touch()
    world = {"WORLD_SIZE": f"{SIZE}", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": f"{port}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(WORKER), str(folder / "service"), str(dead)]
    ranks = [
        subprocess.Popen(
            command,
            env={**os.environ, **world, "RANK": f"{rank}", "TORCH_CPP_LOG_LEVEL": "FATAL"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(SIZE)
    ]  # fmt: skip
    ended = [process.communicate(timeout=120) for process in ranks]
    assert [process.returncode for process in ranks] == [7 * (rank == dead) for rank in range(SIZE)], ended
    found: dict[str, list[dict[str, Any]]] = {}
    for said in (json.loads(line) for printed, _ in ended for line in printed.splitlines()):
        found.setdefault(said["name"], []).append(said)
    return found


def only(found: list[dict[str, Any]], field: str) -> Any:
    """The one value that every rank has reported."""
    assert len({json.dumps(each.get(field)) for each in found}) == 1, found
    return found[0][field]


@pytest.mark.slow(10)
def test_gloo_ranks_share_prove_and_stop(tmp_path: Path, free_port: int) -> None:
    """Real ranks get one table by each strategy; each difference or error stops all alike; a dead rank is named."""
    found = run_ranks(tmp_path, free_port, dead=1)
    for strategy in ("rank0", "node", "all", "subgroup"):
        assert len(found[strategy]) == SIZE
        assert only(found[strategy], "digest") == make_table().digest
        assert only(found[strategy], "version") == 2
    assert only(found["large"], "digest") == Table({"lr": [0.1 / (row + 1) for row in range(100_000)]}).digest
    assert only(found["extremes"], "value") == [[0, -2, 2**63 - 1, -(2**63)], [2, 0, 2**63 - 1, -(2**63)]]

    assert only(found["ulp"], "error") == "RanksDisagreeError"
    assert "rank 2 at row 7, lr: 0.0125 and 0.012500000000000002" in only(found["ulp"], "message")
    message = "the ranks differ in parameter group 0: ranks 0-1: 'decay'; rank 2: 'no_decay'"
    assert only(found["groups"], "message") == message
    assert only(found["position"], "message") == "the ranks differ in their start position: ranks 0-1: 4; rank 2: 3"
    assert only(found["error of rank 0"], "error") == "RankFailedError"
    assert "/v1/runs/team/none answered 404: there is no such run" in only(found["error of rank 0"], "message")
    assert "rank 2: ServiceUnreachableError: the service" in only(found["error of one rank"], "message")

    assert [said["rank"] for said in found["death"]] == [0, 2]
    assert only(found["death"], "error") == "RankTimeoutError"
    assert all("rank 1 did not come within 10 s" in said["message"] for said in found["death"])


@pytest.mark.slow(10)
def test_the_death_of_rank_0_does_not_hang_the_others(tmp_path: Path, free_port: int) -> None:
    """Where the rank dies that holds the group's store, the others raise, and say where the store was."""
    found = run_ranks(tmp_path, free_port, dead=0)
    assert [said["rank"] for said in found["death"]] == [1, 2]
    assert only(found["death"], "error") == "RankFailedError"
    assert "As a rule rank 0, or the launcher, has it" in found["death"][0]["message"]


@pytest.mark.slow(10)
def test_a_store_that_is_frozen_hangs_nobody() -> None:
    """Where the group's store is stopped, so that it never answers, an exchange raises after its time-out."""
    command = [sys.executable, str(WORKER.with_name("frozen_store_worker.py"))]
    environment = {**os.environ, "TORCH_CPP_LOG_LEVEL": "FATAL"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("RankTimeoutError the store of the process group has not answered rank 0 of 1")
