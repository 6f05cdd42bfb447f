"""The positions that workers of runs report."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select

from service.database.checked_table import CheckedTable, DamagedRow, Decision
from service.database.database import Database
from service.database.drivers.dialects import lock_name
from service.database.runs.records import RunRecords
from service.database.runs.rows import Author, ProgressRow, RunName, RunRow
from service.database.schema import RUN_PROGRESS

MOST_WORKERS = 10_000
"""Workers of one run whose positions are kept."""

_COLUMNS = RUN_PROGRESS.c


class TooManyWorkersError(Exception):
    """A run has `MOST_WORKERS` workers already."""


class Reported(NamedTuple):
    """What became of a report.

    Args:
        run: the head of the run then.
        highest: the highest position of the run's workers then; None if no report counts.
        counted: whether this one counts. That of a worker that still follows a version from before a rewind does not.
    """

    run: RunRow
    highest: int | None
    counted: bool


class ProgressRecords:
    """The last position that each worker of a run has reported; from any thread.

    A report and a change of the same run are never concurrent: the change sees the report, or the report comes after
    it. Reports do not wait for each other. A damaged one is dropped: the worker reports again. Every method blocks, and
    raises `DatabaseError` if the database refuses or does not answer in time.
    """

    def __init__(self, database: Database, runs: RunRecords) -> None:
        self._database = database
        self._runs = runs
        self._progress = CheckedTable(database, RUN_PROGRESS, ProgressRow, _drop)

    @property
    def checked_tables(self) -> Sequence[CheckedTable[Any]]:
        """The tables of the database that this aggregate owns."""
        return (self._progress,)

    def problems(self) -> Iterator[str]:
        """Yield nothing: a report contradicts no other row."""
        return iter(())

    def report(self, name: RunName, worker: str, step: int, version: int | None = None) -> Reported | None:
        """Keep a worker's position, in units of the table's axis; return what became of it. None: there is no such run.

        A report counts unless the worker follows an older `version` than the one to which workers went back last. One
        without a version always does. Raises `TooManyWorkersError`.
        """
        row = ProgressRow(*name, worker, step, time.time(), version)
        with self._database.transaction("write") as connection:
            lock_name(connection, name.lock, shared=True)
            run = self._runs.seen(connection, name)
            if run is None:
                return None
            counted = not run.deleted and (version is None or version >= (run.branch or 0))
            if counted and not self._progress.replace(connection, row):
                self._add(connection, name, row)
            highest = self.highest(connection, name)
        return Reported(run, None if highest is None else highest.step, counted)

    def forget(self, name: RunName, worker: str | None, author: Author) -> list[str]:
        """Delete the report of a worker, or all of a run; return whose they were. The feed of changes tells of it."""
        whose = () if worker is None else (_COLUMNS.worker == worker,)
        with self._database.transaction("write") as connection:
            run = self._runs.locked(connection, name)
            query = select(_COLUMNS.worker).where(*_of(name), *whose).order_by(_COLUMNS.worker)
            workers = [*connection.scalars(query)]
            if run is not None and workers:
                self._progress.delete(connection, *_of(name), *whose)
                details = {"workers": len(workers)} if worker is None else {"worker": worker}
                self._runs.publish(connection, run, "forget", author, None, time.time(), details)
            return workers

    def _add(self, connection: Connection, name: RunName, row: ProgressRow) -> None:
        if (connection.scalar(select(func.count()).where(*_of(name))) or 0) >= MOST_WORKERS:
            raise TooManyWorkersError(f"the run {name} has {MOST_WORKERS} workers")
        _, is_new = self._progress.insert_or_get(connection, row)
        if not is_new:  # the same worker reported twice at once
            self._progress.replace(connection, row)

    def highest(self, connection: Connection, name: RunName) -> ProgressRow | None:
        """Return the report of the highest position, in the transaction of a connection; None if there is none."""
        return self._progress.first(connection, *_of(name), order_by=[_COLUMNS.step.desc(), _COLUMNS.worker])

    def highest_now(self, name: RunName) -> ProgressRow | None:
        """Return the report of the highest position; None if there is none."""
        with self._database.transaction("read") as connection:
            return self.highest(connection, name)

    def clear(self, connection: Connection, name: RunName) -> None:
        """Delete every report of a run, in the transaction of a connection."""
        self._progress.delete(connection, *_of(name))

    def reports(self, name: RunName) -> list[ProgressRow]:
        """Return every report of a run, in the order of the workers' names."""
        found: list[ProgressRow] = []
        while True:
            after = _COLUMNS.worker > (found[-1].worker if found else "")
            page = self._progress.find_all(*_of(name), after, order_by=[_COLUMNS.worker])
            found += page
            if not page:
                return found


def _of(name: RunName) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _COLUMNS.namespace == name.namespace, _COLUMNS.name == name.name


def _drop(damaged: DamagedRow) -> Decision:
    """Drop any damaged row: a worker reports its progress again."""
    return "drop"
