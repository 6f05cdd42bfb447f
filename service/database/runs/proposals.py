"""Proposed amendments of runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from service.database.checked_table import CheckedTable, DamagedRow, Decision
from service.database.database import Database
from service.database.runs.records import LockedError, RunRecords, check_version
from service.database.runs.rows import Author, Expected, ProposalRow, RunName
from service.database.schema import RUN_PROPOSALS

MOST_OPEN = 1000
"""Open proposals of one run."""

_COLUMNS = RUN_PROPOSALS.c


class DecidedError(Exception):
    """A proposal was approved or rejected before. `proposal` is its row."""

    def __init__(self, proposal: ProposalRow) -> None:
        super().__init__(f"the proposal is {proposal.state}")
        self.proposal = proposal


class TooManyProposalsError(Exception):
    """A run has `MOST_OPEN` open proposals already."""


class ProposalRecords:
    """Proposed amendments of runs; from any thread.

    Proposals of a run are numbered from 1 without a gap. Each one, and each rejection, is an entry in the feed of
    changes. A damaged proposal is refused: it is history. Every method blocks, and raises `DatabaseError` if the
    database refuses or does not answer in time.
    """

    def __init__(self, database: Database, runs: RunRecords) -> None:
        self._database = database
        self._runs = runs
        self._proposals = CheckedTable(database, RUN_PROPOSALS, ProposalRow, _refuse)

    @property
    def checked_tables(self) -> Sequence[CheckedTable[Any]]:
        """The tables of the database that this aggregate owns."""
        return (self._proposals,)

    def problems(self) -> Iterator[str]:
        """Yield a line for each gap in the numbers of a run's proposals."""
        newest, number = func.max(_COLUMNS.proposal).label("newest"), func.count().label("number")
        query = select(_COLUMNS.namespace, _COLUMNS.name, newest, number).group_by(_COLUMNS.namespace, _COLUMNS.name)
        for row in self._database.fetch(query.having(newest != number).order_by(_COLUMNS.namespace, _COLUMNS.name)):
            run = f"{row['namespace']}/{row['name']}"
            yield f"run {run} has {row['number']} proposals, and the newest is {row['newest']}"

    def add(
        self, name: RunName, expected: Expected, amendment: str, author: Author, reason: str | None, link: str | None
    ) -> ProposalRow:
        """Add an open proposal, made for this version of the run; return it.

        Args:
            name: of the run.
            expected: the state that it must have.
            amendment: JSON of the amendment.
            author: who proposes it.
            reason: free text; None where none was given.
            link: an address to read more; None where none was given.

        Raises `RunConflictError` if the version is another one, `LockedError`, and `TooManyProposalsError`.
        """
        with self._database.transaction("write") as connection:
            run = self._runs.locked(connection, name)
            check_version(run, expected)
            assert run is not None  # it has the expected version
            if run.locked:
                raise LockedError(f"the run {name} is locked")
            if self._count(connection, *_of(name), _COLUMNS.state == "open") >= MOST_OPEN:
                raise TooManyProposalsError(f"the run {name} has {MOST_OPEN} open proposals")
            number, now = self._count(connection, *_of(name)) + 1, time.time()
            row = ProposalRow(
                *name, number, run.version, amendment, author.name, author.token_id, reason, link, created_at=now
            )
            self._proposals.insert(connection, row)
            self._runs.publish(connection, run, "propose", author, reason, now, {"proposal": number})
            return row

    def _count(self, connection: Connection, *conditions: ColumnElement[bool]) -> int:
        return connection.scalar(select(func.count()).where(*conditions)) or 0

    def find(self, name: RunName, number: int) -> ProposalRow | None:
        """Return a proposal; None if there is none of this number."""
        return self._proposals.find(*name, number)

    def after(self, name: RunName, number: int, *, limit: int) -> list[ProposalRow]:
        """Return the proposals after this number, the oldest first; `limit` at most."""
        return self._proposals.find_all(
            *_of(name), _COLUMNS.proposal > number, order_by=[_COLUMNS.proposal], limit=limit
        )

    def approve(self, connection: Connection, name: RunName, number: int, author: Author, version: int) -> None:
        """Record which version a proposal became, in the transaction that makes it. Raises `DecidedError`."""
        self._decide(connection, name, number, state="approved", decided_by=author.name, version=version)

    def reject(self, name: RunName, number: int, author: Author, reason: str | None) -> ProposalRow:
        """Reject a proposal that exists; return it. Raises `DecidedError`."""
        with self._database.transaction("write") as connection:
            run = self._runs.locked(connection, name)
            row = self._decide(connection, name, number, state="rejected", decided_by=author.name)
            assert run is not None  # it has a proposal
            self._runs.publish(connection, run, "reject", author, reason, time.time(), {"proposal": number})
            return row

    def _decide(self, connection: Connection, name: RunName, number: int, **decision: Any) -> ProposalRow:
        found = self._proposals.lock(connection, *name, number)
        assert found is not None  # proposals are never deleted
        if found.state != "open":
            raise DecidedError(found)
        row = replace(found, **decision, decided_at=time.time())
        self._proposals.replace(connection, row)
        return row


def _of(name: RunName) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _COLUMNS.namespace == name.namespace, _COLUMNS.name == name.name


def _refuse(damaged: DamagedRow) -> Decision:
    """Refuse any damaged row: what was proposed, and who decided, cannot be made again."""
    return "refuse"
