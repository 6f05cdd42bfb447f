"""The run service: resolves what a run names to a stored table, and records every change of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from scheduler import Spec
from service.concurrency.executors import Executors
from service.database.changes import ChangeRow
from service.database.metadata import Metadata
from service.database.runs.listing import RunCursor, RunFilter
from service.database.runs.records import Check, LockedError, RunConflictError
from service.database.runs.rows import (
    Author,
    Expected,
    RunEdit,
    RunHead,
    RunName,
    RunState,
    RunTarget,
    RunVersionRow,
)
from service.database.tables import SpecRow
from service.errors import RunDeletedError, RunLockedError, RunNotFoundError, TableLostError, VersionNotFoundError
from service.runs.differences import TableDifference, compare
from service.runs.feed import ChangeFeed
from service.runs.guards import Guards, Passed, TableChange, measure
from service.runs.heads import Heads, ServedHead
from service.tables.entries import Entry
from service.tables.origins import kind_of
from service.tables.readable import ReadableTable
from service.tables.service import TableService

T = TypeVar("T")


class RunChangedError(Exception):
    """A run is not as its change expects it.

    Args:
        detail: what is different.
        head: the run as it is now.
        difference: where its table and the one that was to be recorded differ first; None if there is none to compare.
    """

    def __init__(self, detail: str, head: RunHead, difference: TableDifference | None) -> None:
        super().__init__(detail)
        self.head = head
        self.difference = difference


class RunService:
    """Named runs. An instance belongs to one event loop; blocking calls run in threads.

    A change is recorded only after the table that it names is durable. Every method raises `DatabaseError` if the
    database fails; `head` does so only for a run that this server has not seen.

    Args:
        metadata: the database.
        tables: the table service.
        executors: the threads for blocking calls.
        feed: the feed of changes. It is told of each change that is made here, and tells of those made elsewhere.
    """

    def __init__(self, metadata: Metadata, tables: TableService[Any], executors: Executors, feed: ChangeFeed) -> None:
        self.heads = Heads(metadata.runs, executors)
        self.guards = Guards(metadata.progress)
        self._records = metadata.runs
        self._table_records = metadata.tables
        self._tables = tables
        self._executors = executors
        self._feed = feed
        feed.on_changes = self._outdate

    # -- what a run names ---------------------------------------------------------------------------------------------

    async def target_of_spec(self, spec: Spec) -> RunTarget:
        """Return the table of a spec, which is computed and stored first. Raises what `TableService.obtain` raises."""
        ready, _ = await self._tables.obtain(spec)
        return _target(ready, spec.id, spec.model_dump_json())

    async def target_of_digest(self, digest: str) -> RunTarget:
        """Return a stored table, and the first spec from which it was computed here, if any.

        Raises `TableNotFoundError` and `TableLostError`.
        """
        ready = await self._tables.get_recorded(digest)
        facts: list[SpecRow] = await self._executors.database(self._table_records.specs_of, digest)
        return _target(ready, facts[0].spec_id, facts[0].spec) if facts else _target(ready, None, None)

    # -- reading ------------------------------------------------------------------------------------------------------

    async def head(self, name: RunName) -> ServedHead:
        """Return a run as it is now, or was at most 2 seconds ago; flagged stale while the database is away.

        Raises `RunNotFoundError` and `RunDeletedError`.
        """
        served = await self.heads.get(name)
        _existing(name, served.head)
        return served

    async def current(self, name: RunName) -> RunHead:
        """Return a run as it is now, from the database. Raises `RunNotFoundError` and `RunDeletedError`."""
        return _existing(name, await self._executors.database(self._records.head, name))

    async def version(self, name: RunName, version: int) -> RunVersionRow:
        """Return one version of a run, of a deleted one too. Raises `RunNotFoundError` and `VersionNotFoundError`."""
        found = await self._executors.database(self._records.version, name, version)
        if found is not None:
            return found
        if await self._executors.database(self._records.head, name) is None:
            raise _unknown(name)
        raise VersionNotFoundError(f"the run {name} has no version {version}")

    async def versions(self, name: RunName, *, after: int, limit: int) -> list[RunVersionRow]:
        """Return versions after this one, the oldest first, of a deleted run too. Raises `RunNotFoundError`."""
        found = await self._executors.database(self._records.versions, name, after=after, limit=limit)
        if not found and await self._executors.database(self._records.head, name) is None:
            raise _unknown(name)
        return found

    async def page(
        self, wanted: RunFilter, after: RunCursor | None, limit: int
    ) -> tuple[list[RunHead], RunCursor | None]:
        """Return a page of the list of runs, and where the next one begins; None after the last page."""
        return await self._executors.database(self._records.page, wanted, after, limit)

    # -- changing -----------------------------------------------------------------------------------------------------

    async def create(
        self, name: RunName, target: RunTarget, edit: RunEdit, *, may_have_changed: bool = False
    ) -> tuple[RunHead, bool]:
        """Create a run, or a deleted one anew; return it, and whether this call created it.

        A run that has this table already is a success; with `may_have_changed` so is one that was created with it, and
        is returned as it is now. Raises `RunChangedError` for another table.
        """
        edit = replace(edit, begins_branch=True)
        try:
            return await self.change(name, None, target, edit, self.guards.forgetting(name))
        except RunChangedError as error:
            if not may_have_changed:
                raise
            first: RunVersionRow = await self._executors.database(self._records.created, name)
            if first.digest == target.digest:
                return error.head, False
            difference = await self._compared(first.digest, target.digest, compare)
            detail = f"the run {name} exists, and was created with another table (version {first.version})"
            raise RunChangedError(
                f"{detail}; {difference.text if difference else ''}", error.head, difference
            ) from None

    async def move(self, name: RunName, expected: Expected, target: RunTarget, edit: RunEdit) -> tuple[RunHead, bool]:
        """Move a run to another table; return it, and whether there is a new version.

        Raises what `change` raises, `AmendmentRefusedError` if it touches rows that workers may have passed, and
        `GuardRailError`.
        """
        head = await self.current(name)
        if not head.run.is_at(expected) or head.run.digest == target.digest:
            return await self.change(name, expected, target, edit)
        return await self._guarded(name, head, expected, target, edit, "margin")

    async def rollback(
        self, name: RunName, expected: Expected, version: int, edit: RunEdit, *, rewind: bool = False
    ) -> RunHead:
        """Append a version that names the table of an earlier one, which has the same rows as far as workers are.

        With `rewind` it may have others: workers go back, and what they have reported is forgotten. Raises
        `VersionNotFoundError` and as `move`.
        """
        head = await self.current(name)
        target = (await self.version(name, version)).target
        if head.run.is_at(expected):
            await self._tables.get_recorded(target.digest)
            edit = replace(edit, begins_branch=rewind, details={"version": version})
            head, _ = await self._guarded(name, head, expected, target, edit, "rewind" if rewind else "equal")
        else:
            head, _ = await self.change(name, expected, target, edit)
        return head

    async def _guarded(
        self, name: RunName, head: RunHead, expected: Expected, target: RunTarget, edit: RunEdit, passed: Passed
    ) -> tuple[RunHead, bool]:
        change = await self.measured(head.run.digest, target.digest)
        if change is not None:
            edit = replace(edit, from_step=change.first_step)
        check = self.guards.check(name, change, passed)
        return await self.change(name, expected, target, edit, check, even_if_same=passed == "rewind")

    async def measured(self, current: str, other: str, from_step: int | None = None) -> TableChange | None:
        """Return what a change between two stored tables does, as `measure`; None if one of them is lost."""
        return await self._compared(current, other, partial(measure, from_step=from_step))

    async def delete(self, name: RunName, expected: Expected, edit: RunEdit) -> RunHead:
        """Append a tombstone to a run: its versions stay readable, what workers reported is forgotten.

        Raises what `change` raises.
        """
        deleted, _ = await self.change(name, expected, None, edit, self.guards.forgetting(name))
        return deleted

    async def change(
        self,
        name: RunName,
        expected: Expected | None,
        target: RunTarget | None,
        edit: RunEdit,
        check: Check | None = None,
        *,
        even_if_same: bool = False,
    ) -> tuple[RunHead, bool]:
        """Append a version as `RunRecords.change` does; return the run, and whether there is a new version.

        Raises `RunNotFoundError`, `RunDeletedError`, `RunChangedError` if the version is another one than expected,
        `RunLockedError`, and whatever `check` raises.
        """
        work = partial(self._records.change, name, expected, target, edit, check, even_if_same=even_if_same)
        head, made = await self.recorded(name, expected, work, target)
        self._committed(name, head)
        return head, made

    async def set(
        self,
        name: RunName,
        expected: Expected,
        author: Author,
        *,
        locked: bool | None = None,
        labels: Mapping[str, str] | None = None,
        rules: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> RunHead:
        """Set what is given of a run, without a new version. Raises what `change` raises, but for a locked run."""
        work = partial(
            self._records.set, name, expected, author, locked=locked, labels=labels, rules=rules, reason=reason
        )
        head = await self.recorded(name, expected, work)
        self._committed(name, head)
        return head

    async def recorded(
        self, name: RunName, expected: Expected | None, work: Callable[[], T], target: RunTarget | None = None
    ) -> T:
        """Return what a call of the records returns that expects a version of a run.

        Raises `RunNotFoundError`, `RunDeletedError` and `RunChangedError` if the run has another one, with where its
        table differs from the target's, `RunLockedError`, and whatever else the call raises.
        """
        try:
            return await self._executors.database(work)
        except RunConflictError as error:
            raise await self._changed(name, expected, target, is_known=error.run is not None) from error
        except LockedError as error:
            raise locked(name) from error

    def _committed(self, name: RunName, head: RunHead) -> None:
        """Take note of a change that was made here."""
        self.heads.changed(name, head)
        self._feed.announce()

    def _outdate(self, changes: Sequence[ChangeRow]) -> None:
        for change in changes:
            self.heads.outdate(RunName(change.namespace, change.name))

    async def _changed(
        self, name: RunName, expected: Expected | None, target: RunTarget | None, *, is_known: bool
    ) -> Exception:
        """Return the error for a run that is not as expected."""
        head: RunHead | None = await self._executors.database(self._records.head, name)
        if head is None or not is_known:
            return _unknown(name)
        if head.run.deleted:
            return _deleted(name, head)
        difference = None if target is None else await self._compared(head.run.digest, target.digest, compare)
        if expected is None:
            detail = f"the run {name} exists, with another table (version {head.run.version})"
        else:
            detail = not_at(name, head, expected)
        return RunChangedError(detail + (f"; {difference.text}" if difference else ""), head, difference)

    async def _compared(
        self, current: str, other: str, look: Callable[[ReadableTable, ReadableTable], T | None]
    ) -> T | None:
        """Return what `look` finds in two stored tables, in a thread; None if one of them is lost."""
        try:
            one, two = await self._tables.get(current), await self._tables.get(other)
        except TableLostError:  # a run whose table is lost can be moved to another one
            return None
        with one.pin(), two.pin():
            return await self._executors.storage(look, one.table, two.table)


def _target(ready: Entry[Any], spec_id: str | None, spec: str | None) -> RunTarget:
    table = ready.table
    return RunTarget(
        ready.digest,
        table.total_steps,
        table.axis,
        table.stride,
        None if spec is None else kind_of(spec),
        spec_id,
        spec,
    )


def _existing(name: RunName, head: RunHead | None) -> RunHead:
    """Return the head of a run that exists. Raises `RunNotFoundError` and `RunDeletedError`."""
    if head is None:
        raise _unknown(name)
    if head.run.deleted:
        raise _deleted(name, head)
    return head


def not_at(name: RunName, head: RunHead, expected: Expected | None) -> str:
    """Return in words that a run is not as expected."""
    version, run = head.run.version, f"the run {name}"
    if isinstance(expected, RunState) and expected.version == version:
        now = f"it is at revision {head.run.state.revision} of version {version}, not at {expected.revision}"
        return f"the lock, labels or rules of {run} were set again: {now}"
    number = expected.version if isinstance(expected, RunState) else expected
    return f"{run} is at version {version}, not at {number}"


def locked(name: RunName) -> RunLockedError:
    """Return the error for a change of a locked run."""
    return RunLockedError(f"the run {name} is locked: unlock it first")


def _unknown(name: RunName) -> RunNotFoundError:
    return RunNotFoundError(f"there is no run {name}")


def _deleted(name: RunName, head: RunHead) -> RunDeletedError:
    return RunDeletedError(f"the run {name} was deleted with version {head.run.version}; its versions can be read")
