"""Named runs: their heads and versions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, exists, select, tuple_

from service.database.changes import ChangeRecords, ChangeRow
from service.database.checked_table import CheckedTable, DamagedRow, Decision
from service.database.database import Database
from service.database.drivers.dialects import lock_name
from service.database.runs.listing import RunCursor, RunFilter
from service.database.runs.problems import problems_of
from service.database.runs.rows import (
    Author,
    Expected,
    RunEdit,
    RunHead,
    RunName,
    RunRow,
    RunTarget,
    RunVersionRow,
)
from service.database.schema import RUN_VERSIONS, RUNS, TABLES
from service.errors import DatabaseError

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_OF_VERSION = ("action", "author", "token_id", "reason", "link", "from_step", "amendment")
_CHUNK = 20  # runs of a page whose versions are read at a time
_MOST_CHARACTERS = 4 * 2**20  # of the specs of a page, about

Check = Callable[[Connection, RunRow | None], None]
"""Looks at the head of a run in the transaction that changes it, and may write; an exception stops the change."""


class RunConflictError(Exception):
    """A run is not at the version that was expected. `run` is its head; None if there is no such run."""

    def __init__(self, run: RunRow | None) -> None:
        super().__init__("there is no such run" if run is None else f"the run is at version {run.version}")
        self.run = run


class LockedError(Exception):
    """A run is locked, and refuses every new version."""


class RunRecords:
    """Named runs; from any thread.

    Every change of a run is one transaction: it compares the head's version with the expected one, writes, and appends
    to the feed of changes. A damaged head or version is refused: history cannot be made again. Every method blocks, and
    raises `DatabaseError` if the database refuses or does not answer in time.
    """

    def __init__(self, database: Database, changes: ChangeRecords) -> None:
        self._database = database
        self._changes = changes
        self._runs = CheckedTable(database, RUNS, RunRow, _refuse)
        self._versions = CheckedTable(database, RUN_VERSIONS, RunVersionRow, _refuse)

    @property
    def checked_tables(self) -> Sequence[CheckedTable[Any]]:
        """The tables of the database that this aggregate owns."""
        return (self._runs, self._versions)

    def problems(self) -> Iterator[str]:
        """Yield a line for each contradiction: between heads and versions, and for a version whose table has no row."""
        return problems_of(self._database)

    # -- reading ------------------------------------------------------------------------------------------------------

    def head(self, name: RunName) -> RunHead | None:
        """Return a run as it is now, a deleted one too; None if there is none of this name."""
        run = self._runs.find(*name)
        return None if run is None else RunHead(run, self._existing_version(run))

    def version(self, name: RunName, version: int) -> RunVersionRow | None:
        """Return one version of a run; None if there is none."""
        return self._versions.find(*name, version)

    def versions(self, name: RunName, *, after: int = 0, limit: int = 1000) -> list[RunVersionRow]:
        """Return the versions after this one, the oldest first; `limit` at most."""
        table = RUN_VERSIONS.c
        conditions = (table.namespace == name.namespace, table.name == name.name, table.version > after)
        return self._versions.find_all(*conditions, order_by=[table.version], limit=limit)

    def created(self, name: RunName) -> RunVersionRow:
        """Return the version that created a run, or a deleted one anew: the newest such one. Raises `DatabaseError`."""
        table = RUN_VERSIONS.c
        conditions = (table.namespace == name.namespace, table.name == name.name, table.action == "create")
        found = self._versions.find_all(*conditions, order_by=[table.version.desc()], limit=1)
        if not found:
            raise DatabaseError(f"run {name} was never created: see 'lrtables verify'")
        return found[0]

    def page(
        self, wanted: RunFilter, after: RunCursor | None = None, limit: int = 100
    ) -> tuple[list[RunHead], RunCursor | None]:
        """Return a page of the list of runs, and where the next one begins; None after the last page.

        It has `limit` runs at most, and fewer if their specs are long.
        """
        runs = self._runs.find_all(*wanted.conditions(after), order_by=wanted.order, limit=limit + 1)
        heads: list[RunHead] = []
        characters = 0
        for start in range(0, min(len(runs), limit), _CHUNK):
            for head in self._with_versions(runs[start : min(start + _CHUNK, limit)]):
                heads.append(head)
                characters += len(head.version.spec or "")
            if characters > _MOST_CHARACTERS:
                break
        return heads, RunCursor.of(heads[-1].run) if len(heads) < len(runs) else None

    def _with_versions(self, runs: Sequence[RunRow]) -> Iterator[RunHead]:
        keys = [(run.namespace, run.name, run.version) for run in runs]
        condition = tuple_(*RUN_VERSIONS.primary_key).in_(keys)
        found = self._versions.find_all(condition, order_by=[*RUN_VERSIONS.primary_key])
        by_key = {(row.namespace, row.name, row.version): row for row in found}
        return (RunHead(run, _present(run, by_key.get(key))) for run, key in zip(runs, keys, strict=True))

    def _existing_version(self, run: RunRow) -> RunVersionRow:
        return _present(run, self._versions.find(run.namespace, run.name, run.version))

    # -- changing -----------------------------------------------------------------------------------------------------

    def change(
        self,
        name: RunName,
        expected: Expected | None,
        target: RunTarget | None,
        edit: RunEdit,
        check: Check | None = None,
        *,
        even_if_same: bool = False,
    ) -> tuple[RunHead, bool]:
        """Append a version to a run; return the run as it is then, and whether there is a new version.

        A create, a move or a rollback to the table that the run has already makes no version.

        Args:
            name: of the run.
            expected: the state that it must have. None if there must be no such run, or a deleted one.
            target: the table that the new version names; None for that of the newest version.
            edit: the rest of the new version.
            check: is called in the transaction when the version is as expected and the run is not locked.
            even_if_same: whether the table that the run has already makes a version, too.

        Raises `RunConflictError` if the version is another one, `LockedError` if the run is locked, and whatever
        `check` raises. Nothing is changed then.
        """
        with self._database.transaction("write") as connection:
            run = self.locked(connection, name)
            if target is not None and not even_if_same and _is_kept(run, expected, target, edit):
                return self._with_settings(connection, run, edit), False
            check_version(run, expected)
            if run is not None and run.locked:
                raise LockedError(f"the run {name} is locked")
            if check is not None:
                check(connection, run)
            return self._append(connection, name, run, target, edit), True

    def set(
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
        """Set what is given of a run, without a new version; return the run as it is then.

        Each value that changes is an entry in the feed. Raises `RunConflictError` if the run is not at this version.
        """
        with self._database.transaction("write") as connection:
            run = self.locked(connection, name)
            check_version(run, expected)
            assert run is not None  # it has the expected version
            return self._set(connection, run, author, reason, locked=locked, labels=labels, rules=rules)

    def seen(self, connection: Connection, name: RunName) -> RunRow | None:
        """Return the head of a run in a transaction that holds its name's lock, shared or not."""
        table = RUNS.c
        return self._runs.first(
            connection, table.namespace == name.namespace, table.name == name.name, order_by=[table.name]
        )

    def locked(self, connection: Connection, name: RunName) -> RunRow | None:
        """Return the head of a run. No other transaction changes or creates the run until this one ends."""
        lock_name(connection, name.lock)
        return self._runs.lock(connection, *name)

    def _append(
        self, connection: Connection, name: RunName, run: RunRow | None, target: RunTarget | None, edit: RunEdit
    ) -> RunHead:
        parent = None if run is None else run.version
        target = self._target_of(connection, run) if target is None else target
        self._keep_table(connection, target.digest)
        now = time.time()
        values = {**vars(edit), "author": edit.author.name, "token_id": edit.author.token_id}
        version = RunVersionRow(
            **name._asdict(),
            **asdict(target),
            **{field: value for field, value in values.items() if field in _OF_VERSION},
            version=1 if parent is None else parent + 1,
            parent=parent,
            created_at=now,
        )
        head = RunRow(
            *name,
            version.version,
            version.digest,
            version.kind,
            _first(edit.labels, None if run is None or run.deleted else run.labels),
            _first(edit.rules, None if run is None or run.deleted else run.rules),
            locked=0,
            deleted=int(edit.action == "delete"),
            created_at=now if run is None else run.created_at,
            changed_at=now,
            branch=version.version if edit.begins_branch else None if run is None else run.branch,
        )
        self._versions.insert(connection, version)
        if run is None:
            self._runs.insert(connection, head)
        else:
            self._runs.replace(connection, head)
        given = {"labels": edit.labels, "rules": edit.rules}
        details = {**edit.details, **{name: value for name, value in given.items() if value is not None}}
        self.publish(connection, head, edit.action, edit.author, edit.reason, now, details)
        return RunHead(head, version)

    def _target_of(self, connection: Connection, run: RunRow | None) -> RunTarget:
        assert run is not None  # a new run is given a table
        return self._version_of(connection, run).target

    def _version_of(self, connection: Connection, run: RunRow) -> RunVersionRow:
        return _present(run, self._versions.lock(connection, run.namespace, run.name, run.version))

    def _keep_table(self, connection: Connection, digest: str) -> None:
        """Raise unless the table has a row: its file may not be deleted, and `gc` waits for this transaction."""
        lock_name(connection, digest)
        if not connection.scalar(select(exists().where(TABLES.c.digest == digest))):
            raise DatabaseError(f"the table {digest} has no row any more: try again")

    def _with_settings(self, connection: Connection, run: RunRow | None, edit: RunEdit) -> RunHead:
        """Return a run that has the table already, with the edit's labels and rules if it is a move."""
        assert run is not None  # it has the table
        if edit.action == "create":
            return RunHead(run, self._version_of(connection, run))
        return self._set(connection, run, edit.author, edit.reason, labels=edit.labels, rules=edit.rules)

    def _set(self, connection: Connection, run: RunRow, author: Author, reason: str | None, **given: Any) -> RunHead:
        wanted = {
            field: int(value) if field == "locked" else value for field, value in given.items() if value is not None
        }
        changed = {field: value for field, value in wanted.items() if value != getattr(run, field)}
        revision, now = (run.revision or 0) + 1, time.time()
        head = RunRow(**{**vars(run), **changed, "revision": revision}) if changed else run
        if changed:
            self._runs.replace(connection, head)
        for field, value in changed.items():
            action = {"locked": "lock" if value else "unlock"}.get(field, field)
            details = {} if field == "locked" else {field: value}
            self.publish(connection, head, action, author, reason, now, details)
        return RunHead(head, self._version_of(connection, run))

    def publish(
        self,
        connection: Connection,
        run: RunRow,
        action: str,
        author: Author,
        reason: str | None,
        now: float,
        details: Mapping[str, Any] = _NOTHING,
    ) -> None:
        """Append a change to the feed, as the last step of its transaction; `details` tell what it has set."""
        more = (author.name, now, reason, dict(details) or None)
        change = ChangeRow(0, run.namespace, run.name, run.version, action, run.digest, *more)
        self._changes.append(connection, change)


def _present(run: RunRow, version: RunVersionRow | None) -> RunVersionRow:
    """Return the version of a head, which is always there unless the database was damaged."""
    if version is None:
        raise DatabaseError(f"run {run.namespace}/{run.name} has no version {run.version}: see 'lrtables verify'")
    return version


def _is_kept(run: RunRow | None, expected: Expected | None, target: RunTarget, edit: RunEdit) -> bool:
    """Return whether a create, a move or a rollback asks for the table that the run has already."""
    if run is None or run.deleted or edit.action not in ("create", "move", "rollback"):
        return False
    return run.digest == target.digest and (expected is None or run.is_at(expected))


def check_version(run: RunRow | None, expected: Expected | None) -> None:
    """Raise `RunConflictError` unless the run is as expected; for None, unless there is none or a deleted one."""
    found = None if run is None or run.deleted else run
    if expected is None if found is None else expected is not None and found.is_at(expected):
        return
    raise RunConflictError(run)


def _first(*values: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return next((value for value in values if value is not None), {})


def _refuse(damaged: DamagedRow) -> Decision:
    """Refuse any damaged row: history that cannot be made again must not disappear silently."""
    return "refuse"
