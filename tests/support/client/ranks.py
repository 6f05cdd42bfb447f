"""Ranks of one job as threads that share a folder, and a service that is one too, for tests of what they agree on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from client import RequestRefusedError, ServiceUnreachableError
from client.ranks.file_group import FileGroup
from client.runs.documents import Run
from client.status import Status
from scheduler import Schedule, Spec, Table

T = TypeVar("T")


class FolderService:
    """What a `Client` answers, out of a folder: tables by digest, runs by name. `away` makes it unreachable."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.asked: list[str] = []
        self.versions: list[int | None] = []

    @property
    def away(self) -> Path:
        return self._folder / "away"

    def publish(self, table: Table) -> str:
        table.save(self._folder / table.digest)
        return table.digest

    def move(self, name: str, table: Table, *, action: str = "move", from_step: int | None = None) -> Run:
        """Give a run a new version."""
        self.publish(table)
        versions = self._folder / name
        versions.mkdir(parents=True, exist_ok=True)
        version = len([*versions.iterdir()]) + 1
        step = "" if from_step is None else str(from_step)
        temporary = versions.with_suffix(".tmp")
        temporary.write_text(f"{table.digest} {action} {step}")
        temporary.replace(versions / f"{version}")
        return self.run(name)

    # -- what a client has --------------------------------------------------------------------------------------------

    def status(self) -> Status:
        return Status("folder", reachable=not self.away.exists(), error="the folder is away")

    def run(self, name: str) -> Run:
        self._ask(f"run {name}")
        versions = self._folder / name
        if not versions.is_dir():
            raise RequestRefusedError(f"/v1/runs/{name}", 404, b'{"detail": "there is no such run"}')
        version = len([*versions.iterdir()])
        digest, action, step = (versions / f"{version}").read_text().split(" ")
        table = self._load(digest)
        namespace, _, short = name.partition("/")
        from_step = int(step) if step else None
        layout = (table.total_steps, table.axis, table.stride)
        return Run(namespace, short, version, action, digest, *layout, "2026-01-01T00:00:00Z", from_step=from_step)

    def get(self, digest: str | Run) -> Table:
        digest = digest.digest if isinstance(digest, Run) else digest
        self._ask(f"get {digest}")
        return self.table(digest)

    def table(self, digest: str) -> Table:
        """A published table. Tests let this fail."""
        return self._load(digest)

    def fetch(self, schedule: Schedule | Spec) -> Table:
        self._ask("fetch")
        spec = schedule if isinstance(schedule, Spec) else Spec(schedule=schedule, total_steps=schedule.end or 0)
        table = spec.table()
        self.publish(table)
        return table

    def report_progress(self, run_name: str, worker: str, step: int, *, version: int | None = None) -> None:
        self._ask("report")
        self.versions.append(version)
        with (self._folder / "progress").open("a") as file:
            file.write(f"{run_name} {worker} {step}\n")

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.away.exists():
            raise ServiceUnreachableError("the service does not answer")

    def _load(self, digest: str) -> Table:
        return Table.load(self._folder / digest)


def as_ranks(size: int, folder: Path, work: Callable[[FileGroup], T]) -> list[T | Exception]:
    """What the work returned or raised on each rank, each in a thread of its own."""

    def one(rank: int) -> T | Exception:
        try:
            return work(FileGroup(folder, rank, size, patience=40.0))
        except Exception as error:  # what a rank raises is looked at
            return error

    with ThreadPoolExecutor(size) as pool:
        return [*pool.map(one, range(size))]


def messages(found: list[Any]) -> set[str]:
    """The text of every rank's error."""
    return {str(error) for error in found if isinstance(error, Exception)}
