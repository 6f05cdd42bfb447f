"""Groups that exchange bytes through a folder, and the place in the job that a launcher gives a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from client import RankTimeoutError
from client.distributed import Alone
from client.ranks.environment import local_rank, world_of_environment
from client.ranks.file_group import FileGroup
from client.ranks.group import Group, ranks_in_words
from tests.support.client.ranks import as_ranks, messages

SIZE = 4


def test_every_rank_gets_what_each_gave(tmp_path: Path) -> None:
    """Gathered bytes come in the order of the ranks, call after call; broadcast ones are those of the source."""

    def work(ranks: FileGroup) -> Any:
        gathered = [ranks.all_gather(f"{ranks.rank} {call}".encode(), timeout=30.0) for call in range(5)]
        sent = ranks.broadcast(b"from 2" if ranks.rank == 2 else b"not looked at", source=2, timeout=30.0)
        return gathered, bytes(sent), ranks.extremes([ranks.rank, -ranks.rank])

    calls = [[f"{rank} {call}".encode() for rank in range(SIZE)] for call in range(5)]
    assert as_ranks(SIZE, tmp_path, work) == [(calls, b"from 2", ([0, -3], [3, 0]))] * SIZE


def test_what_an_earlier_job_left_is_not_read(tmp_path: Path) -> None:
    """A job that starts again in the same folder, after one that was killed at any point, hears only its own ranks."""
    for job in range(4):

        def work(ranks: FileGroup, job: int = job) -> Any:
            calls = job + (ranks.rank % 2)  # the ranks of a killed job have come to different points
            wanted = [f"{job} {rank}".encode() for rank in range(SIZE)]
            for _ in range(job + 1):
                assert ranks.all_gather(f"{job} {ranks.rank}".encode(), timeout=30.0) == wanted
            if job < 3 and calls > job:
                with pytest.raises(RankTimeoutError, match="did not come within"):
                    ranks.all_gather(b"the last words", timeout=0.05)
            return "done"

        assert as_ranks(SIZE, tmp_path, work) == ["done"] * SIZE
    assert len([*tmp_path.glob("job/session-*")]) == 1
    assert len([*tmp_path.glob("job/session-*/*")]) == SIZE  # each call's files go when all have read them


def test_ranks_that_never_come_are_named(tmp_path: Path) -> None:
    """Where ranks are missing at the start, or in a later call, the others name them when their time is up."""

    def early(ranks: FileGroup) -> Any:
        return ranks.all_gather(b"", timeout=0.3) if ranks.rank != 2 else []

    found = messages(as_ranks(SIZE, tmp_path / "early", early))
    assert len(found) == SIZE - 1
    assert all("rank 2 did not come within 0.3 s" in message for message in found)

    def later(ranks: FileGroup) -> Any:
        ranks.all_gather(b"", timeout=30.0)
        return ranks.all_gather(b"", timeout=0.3) if ranks.rank not in (0, 1) else []

    found = messages(as_ranks(SIZE, tmp_path / "later", later))
    assert found == {
        f"ranks 0-1 did not come within 0.3 s: rank {rank} of 4 gives up (folder {tmp_path / 'later' / 'job'})"
        for rank in (2, 3)
    }


def test_jobs_with_names_of_their_own_share_a_folder(tmp_path: Path) -> None:
    """Two jobs at the same time in one folder do not hear each other."""

    def work(ranks: FileGroup) -> Any:
        job = FileGroup(tmp_path, ranks.rank // 2, 2, job=f"job-{ranks.rank % 2}")
        return job.all_gather(f"{ranks.rank % 2}".encode(), timeout=30.0)

    assert as_ranks(SIZE, tmp_path, work) == [[b"0", b"0"], [b"1", b"1"]] * 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "rank and size must be given: no launcher has set RANK and WORLD_SIZE"),
        ({"rank": 0}, "rank and size must be given"),
        ({"rank": 2, "size": 2}, "rank must be from 0 to 1, got 2"),
        (
            {"rank": 0, "size": 2, "job": "../other"},
            "job must be made of letters, digits, dots, dashes and underscores",
        ),
        ({"rank": 0, "size": 2, "job": ".."}, "job must be made of letters, digits, dots, dashes and underscores"),
    ],
)
def test_a_place_that_cannot_be_is_refused(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    """Without a rank or a size, or with a rank or a name that cannot be, there is no group."""
    with pytest.raises(ValueError, match=message):
        FileGroup(tmp_path, **given)


@pytest.mark.parametrize(
    ("variables", "world", "local"),
    [
        ({}, None, None),
        ({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, (3, 4), 1),
        ({"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "0"}, (2, 8), 0),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, None, None),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1"}, (1, 2), 1),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, (1, 2), None),
    ],
)
def test_the_launchers_variables_are_understood(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], world: Any, local: int | None
) -> None:
    """Rank, size and the rank on the machine come from torchrun's, Slurm's, Open MPI's or MPICH's variables."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert world_of_environment() == world
    assert local_rank() == local


def test_a_variable_that_is_no_number_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A variable with anything else than a whole number in it is refused by its name."""
    monkeypatch.setenv("RANK", "first")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="the environment variable RANK must be a whole number, got 'first'"):
        FileGroup(tmp_path)


def test_ranks_are_listed_in_ranges() -> None:
    """Ranks in a message are counted up in ranges, in order."""
    assert ranks_in_words([2]) == "rank 2"
    assert ranks_in_words([7, 0, 1, 2, 5, 4]) == "ranks 0-2, 4-5, 7"


def test_a_process_alone_is_a_group() -> None:
    """A group of one process answers itself."""
    alone: Group = Alone()
    assert alone.all_gather(b"x", timeout=1.0) == [b"x"]
    assert bytes(alone.broadcast(b"x", source=0, timeout=1.0)) == b"x"
    assert alone.extremes([3, -4]) == ([3, -4], [3, -4])
    assert isinstance(alone, Group)


SCRIPT = """
import sys
from client.distributed import FileGroup, share_table
from scheduler.custom import WarmupWithDecay
table = WarmupWithDecay(0.1, 10, 100).table(100)
shared = share_table(None, table, group=FileGroup(sys.argv[1]))
print(shared.digest == table.digest, "torch" in sys.modules)
"""


def test_plain_processes_need_no_torch(tmp_path: Path) -> None:
    """Processes of any launcher share and prove a table through a folder, and torch is not loaded."""
    ranks = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path)],
            env={**os.environ, "OMPI_COMM_WORLD_RANK": f"{rank}", "OMPI_COMM_WORLD_SIZE": "2"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    assert [process.communicate(timeout=120)[0] for process in ranks] == ["True False\n"] * 2
