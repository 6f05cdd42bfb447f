"""A group of processes that exchange bytes through files, under any launcher and without torch."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from client.cache.folders import write_file
from client.errors import RankTimeoutError
from client.ranks.environment import world_of_environment
from client.ranks.group import ranks_in_words

T = TypeVar("T")
_JOB = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_SHORTEST, _LONGEST = 0.002, 0.1  # seconds between two looks


class FileGroup:
    """The processes of a job that share a folder, on one machine or through a network file system.

    A file is written under a name of its own, synced and renamed: it is whole, or it is not there. The ranks first
    agree on a session: rank 0 lists a random number of each rank, and each rank waits for a list with its own. What an
    earlier job has left in the folder has other numbers, and is removed. A network file system may show
    a new file seconds late.

    Args:
        folder: belongs to one job at a time; made where there is none.
        rank: this process's number, from 0. Without it, what the launcher has set: `RANK` and `WORLD_SIZE`, or those
            of Slurm's srun, Open MPI, MPICH.
        size: the number of processes.
        job: a name for the job, where several use one folder at the same time.
        patience: seconds to wait in `extremes`, which the training loop calls: for the slowest rank's slowest step.

    Raises `ValueError` where rank and size are neither given nor in the environment, or cannot be.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        rank: int | None = None,
        size: int | None = None,
        *,
        job: str = "job",
        patience: float = 1800.0,
    ) -> None:
        world = world_of_environment()
        if rank is None and size is None and world is not None:
            rank, size = world
        if rank is None or size is None:
            raise ValueError("rank and size must be given: no launcher has set RANK and WORLD_SIZE, or the like")
        if not 0 <= rank < size:
            raise ValueError(f"rank must be from 0 to {size - 1}, got {rank}")
        if not _JOB.fullmatch(job):
            raise ValueError(f"job must be made of letters, digits, dots, dashes and underscores, got {job!r}")
        self.rank = rank
        self.size = size
        self._folder = Path(folder) / job
        self._patience = patience
        self._me = secrets.token_hex(8)
        self._session: Path | None = None
        self._calls = 0

    def all_gather(self, data: bytes, *, timeout: float) -> list[bytes]:
        # docstring inherited
        session, end = self._meet(timeout)
        _write(session / self._name(self.rank), data)
        gathered: dict[int, bytes] = {}

        def everyone() -> list[bytes] | None:
            for rank in range(self.size):
                if rank not in gathered and (content := _read(session / self._name(rank))) is not None:
                    gathered[rank] = content
            return [gathered[rank] for rank in range(self.size)] if len(gathered) == self.size else None

        found = self._wait(everyone, end, timeout, lambda: {*range(self.size)} - gathered.keys())
        self._forget()
        return found

    def broadcast(self, data: bytes | bytearray | None, *, source: int, timeout: float) -> memoryview:
        # docstring inherited
        return memoryview(self.all_gather(bytes(data or b"") if self.rank == source else b"", timeout=timeout)[source])

    def extremes(self, values: Sequence[int]) -> tuple[list[int], list[int]]:
        # docstring inherited
        rows = [json.loads(row) for row in self.all_gather(json.dumps([*values]).encode(), timeout=self._patience)]
        return [min(column) for column in zip(*rows, strict=True)], [max(column) for column in zip(*rows, strict=True)]

    def _name(self, rank: int, back: int = 0) -> str:
        return f"{self._calls - back}.{rank}"

    def _forget(self) -> None:
        """Remove the own file of the last call but one: all have written in this call, so all have read that."""
        (self._folder / str(self._session) / self._name(self.rank, back=1)).unlink(missing_ok=True)

    def _wait(self, look: Callable[[], T | None], end: float, timeout: float, missing: Callable[[], set[int]]) -> T:
        pause = _SHORTEST
        while (found := look()) is None:
            if time.monotonic() > end:
                raise RankTimeoutError(
                    f"{ranks_in_words(missing())} did not come within {timeout:g} s: rank {self.rank} of {self.size} "
                    f"gives up (folder {self._folder})"
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST)
        return found

    # -- the session --------------------------------------------------------------------------------------------------

    def _meet(self, timeout: float) -> tuple[Path, float]:
        """The folder of this session, and when to give up."""
        end = time.monotonic() + timeout
        if self._session is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write(self._folder / f"hello.{self.rank}", self._me.encode())
            look = self._lead if self.rank == 0 else self._join
            self._session = self._folder / self._wait(look, end, timeout, self._silent)
        self._calls += 1
        return self._session, end

    def _lead(self) -> str | None:
        """Rank 0: list the ranks' numbers, and open the session once each has said that it is on the list."""
        roster = [_text(self._folder / f"hello.{rank}") for rank in range(self.size)]
        if "" in roster:
            return None
        if self._roster() != roster:
            _write(self._folder / "roster", json.dumps(roster).encode())
        session = f"session-{''.join(roster[:1])}"
        if any(_text(self._folder / f"joined.{rank}") != _joined(roster, rank) for rank in range(1, self.size)):
            return None
        for old in self._folder.glob("session-*"):
            shutil.rmtree(old, ignore_errors=True)
        (self._folder / session).mkdir()
        _write(self._folder / "open", json.dumps(roster).encode())
        return session

    def _join(self) -> str | None:
        """Another rank: say so when its number is on the list, and wait until that list's session is open."""
        roster = self._roster()
        if len(roster) != self.size or roster[self.rank] != self._me:
            return None
        joined = self._folder / f"joined.{self.rank}"
        if _text(joined) != _joined(roster, self.rank):
            _write(joined, _joined(roster, self.rank).encode())
        return f"session-{roster[0]}" if _text(self._folder / "open") == json.dumps(roster) else None

    def _roster(self) -> list[str]:
        roster: list[str] = json.loads(_text(self._folder / "roster") or "[]")
        return roster

    def _silent(self) -> set[int]:
        """The ranks that are not in the session that rank 0 would open."""
        unheard = {rank for rank in range(self.size) if not _text(self._folder / f"hello.{rank}")}
        roster = self._roster()
        others = range(1, self.size)
        waiting = {rank for rank in others if _text(self._folder / f"joined.{rank}") != _joined(roster, rank)}
        return unheard or (waiting if self.rank == 0 else {0})


def _joined(roster: list[str], rank: int) -> str:
    return f"{hashlib.sha256('-'.join(roster).encode()).hexdigest()} {rank}"


def _write(path: Path, data: bytes) -> None:
    write_file(path, [data], sync=True)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _text(path: Path) -> str:
    return (_read(path) or b"").decode(errors="replace")
