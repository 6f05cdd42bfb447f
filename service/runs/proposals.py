"""Proposed amendments: made by who may propose, approved or rejected by who may publish."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection

from scheduler.amendments import Amendment, parse_amendment
from service.concurrency.executors import Executors
from service.database.metadata import Metadata
from service.database.runs.proposals import MOST_OPEN, DecidedError, TooManyProposalsError
from service.database.runs.rows import Author, Expected, ProposalRow, RunHead, RunName, RunRow
from service.errors import (
    LimitExceededError,
    ProposalDecidedError,
    ProposalNotFoundError,
    ProposalOutdatedError,
)
from service.runs.amendments import AmendmentService, CheckSpec, edit_of
from service.runs.feed import ChangeFeed
from service.runs.service import RunChangedError, RunService


class ProposalService:
    """Proposed amendments of named runs. An instance belongs to one event loop; blocking calls run in threads.

    Args:
        metadata: the database.
        runs: the runs.
        amendments: makes and applies the amendments.
        executors: the threads for blocking calls.
        feed: the feed of changes, which is told of each proposal and each rejection.
    """

    def __init__(
        self,
        metadata: Metadata,
        runs: RunService,
        amendments: AmendmentService,
        executors: Executors,
        feed: ChangeFeed,
    ) -> None:
        self._records = metadata.proposals
        self._runs = runs
        self._amendments = amendments
        self._executors = executors
        self._feed = feed

    async def propose(
        self,
        name: RunName,
        expected: Expected,
        amendment: Amendment,
        author: Author,
        reason: str | None,
        link: str | None,
        check_spec: CheckSpec,
    ) -> tuple[ProposalRow, list[dict[str, Any]]]:
        """Add a proposal for the version that a run has; return it, and why its approval would be refused now.

        Its table is computed, so that one which cannot be, or changes no row, is refused now. The guard rails hold
        when it is approved. Raises what `AmendmentService.prepare` raises, and `LimitExceededError` for too
        many open proposals.
        """
        prepared = await self._amendments.prepare(name, expected, amendment, check_spec)
        prepared.check_changes()
        text = amendment.model_dump_json()
        add = partial(self._records.add, name, expected, text, author, reason, link)
        try:
            row = await self._runs.recorded(name, expected, add)
        except TooManyProposalsError as error:
            raise LimitExceededError(
                f"the run {name} has {MOST_OPEN} open proposals, the most there may be: reject some first"
            ) from error
        self._feed.announce()
        return row, await self._amendments.refusals(name, prepared)

    async def get(self, name: RunName, number: int) -> ProposalRow:
        """Return a proposal. Raises `RunNotFoundError` and `ProposalNotFoundError`."""
        found = await self._executors.database(self._records.find, name, number)
        if found is None:
            await self._runs.versions(name, after=0, limit=1)  # raises if there is no such run
            raise ProposalNotFoundError(f"the run {name} has no proposal {number}")
        return found

    async def list(self, name: RunName, *, after: int, limit: int) -> list[ProposalRow]:
        """Return proposals after this number, the oldest first, of a deleted run too. Raises `RunNotFoundError`."""
        found = await self._executors.database(self._records.after, name, after, limit=limit)
        if not found:
            await self._runs.versions(name, after=0, limit=1)  # raises if there is no such run
        return found

    async def approve(
        self, name: RunName, number: int, author: Author, reason: str | None, check_spec: CheckSpec
    ) -> RunHead:
        """Apply an open proposal; return the run. The version's reason and link are the proposal's, unless given.

        Raises `ProposalNotFoundError`, `ProposalDecidedError`, `ProposalOutdatedError` if the run has another version
        than it was made for, and what `AmendmentService.apply` raises.
        """
        row = await self.get(name, number)
        if row.state != "open":
            raise _decided(name, row)
        amendment = parse_amendment(row.amendment)
        edit = edit_of(amendment, author, reason or row.reason, row.link)
        edit = replace(edit, details={"proposal": number, "proposed_by": row.author})

        def also(connection: Connection, run: RunRow | None) -> None:
            self._records.approve(connection, name, number, author, row.base_version + 1)

        try:
            prepared = await self._amendments.prepare(name, row.base_version, amendment, check_spec)
            return await self._amendments.apply(name, prepared, edit, also)
        except RunChangedError as error:
            await self._check_open(name, number)  # another one may have approved it meanwhile
            raise ProposalOutdatedError(
                f"the proposal {number} was made for version {row.base_version} of {name}, which has "
                f"version {error.head.run.version} now: propose it anew"
            ) from error
        except DecidedError as error:
            raise _decided(name, error.proposal) from error

    async def reject(self, name: RunName, number: int, author: Author, reason: str | None) -> ProposalRow:
        """Reject an open proposal; return it. Raises `ProposalNotFoundError` and `ProposalDecidedError`."""
        await self._check_open(name, number)
        try:
            row: ProposalRow = await self._executors.database(self._records.reject, name, number, author, reason)
        except DecidedError as error:
            raise _decided(name, error.proposal) from error
        self._feed.announce()
        return row

    async def _check_open(self, name: RunName, number: int) -> None:
        row: Any = await self.get(name, number)
        if row.state != "open":
            raise _decided(name, row)


def _decided(name: RunName, row: ProposalRow) -> ProposalDecidedError:
    return ProposalDecidedError(f"the proposal {row.proposal} of {name} was {row.state} before")
