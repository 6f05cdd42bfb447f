"""Named runs: their heads, versions, proposals, and the progress that workers report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from typing_extensions import override

from service.database.changes import ChangeRecords
from service.database.checked_table import CheckedTable, DamagedRow, Decision
from service.database.database import Database
from service.database.rows import Row, Stored
from service.database.schema import RUN_PROGRESS, RUN_PROPOSALS, RUN_VERSIONS, RUNS


@dataclass(frozen=True)
class RunRow(Row):
    """The head of a run. `locked` and `deleted` are 0 or 1; times are in seconds since 1970."""

    namespace: str
    name: str
    version: int
    digest: str
    kind: str | None
    labels: Mapping[str, str]
    rules: Mapping[str, Any]
    locked: int
    deleted: int
    created_at: float
    changed_at: float

    @classmethod
    @override
    def of(cls, stored: Stored) -> Self:
        return super().of({**stored, **{name: json.loads(stored[name]) for name in ("labels", "rules")}})


@dataclass(frozen=True)
class RunVersionRow(Row):
    """A version of a run, which never changes. `spec` and `amendment` are JSON; `created_at` in seconds since 1970."""

    namespace: str
    name: str
    version: int
    action: str
    digest: str
    spec_id: str | None
    spec: str | None
    parent: int | None
    from_step: int | None
    amendment: str | None
    author: str
    token_id: str
    reason: str | None
    link: str | None
    created_at: float


@dataclass(frozen=True)
class ProposalRow(Row):
    """A proposed amendment of a run. `amendment` is JSON; times are in seconds since 1970."""

    namespace: str
    name: str
    proposal: int
    base_version: int
    amendment: str
    author: str
    token_id: str
    reason: str | None
    link: str | None
    created_at: float
    state: str = "open"
    decided_by: str | None = None
    decided_at: float | None = None
    version: int | None = None


@dataclass(frozen=True)
class ProgressRow(Row):
    """The last position that a worker reported, in units of the table's axis. Times are in seconds since 1970."""

    namespace: str
    name: str
    worker: str
    step: int
    reported_at: float


class RunRecords:
    """Named runs; from any thread.

    A damaged head, version or proposal is refused: history cannot be made again. A damaged report of progress is
    dropped: the worker reports again. Every method blocks, and raises `DatabaseError` if the database refuses or does
    not answer in time.
    """

    def __init__(self, database: Database, changes: ChangeRecords) -> None:
        self._database = database
        self._changes = changes
        self._runs = CheckedTable(database, RUNS, RunRow, _refuse)
        self._versions = CheckedTable(database, RUN_VERSIONS, RunVersionRow, _refuse)
        self._proposals = CheckedTable(database, RUN_PROPOSALS, ProposalRow, _refuse)
        self._progress = CheckedTable(database, RUN_PROGRESS, ProgressRow, _drop)

    @property
    def checked_tables(self) -> Sequence[CheckedTable[Any]]:
        """The tables of the database that this aggregate owns."""
        return (self._runs, self._versions, self._proposals, self._progress)

    def problems(self) -> Iterator[str]:
        """Yield a line for each run whose head is not its newest version."""
        for run in self._runs.every_row():
            if self._versions.find(run.namespace, run.name, run.version) is None:
                yield f"run {run.namespace}/{run.name} has no version {run.version}, which is its head"


def _refuse(damaged: DamagedRow) -> Decision:
    """Refuse any damaged row: history that cannot be made again must not disappear silently."""
    return "refuse"


def _drop(damaged: DamagedRow) -> Decision:
    """Drop any damaged row: a worker reports its progress again."""
    return "drop"
