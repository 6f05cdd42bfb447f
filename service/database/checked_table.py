"""Rows that are verified by a checksum whenever they are read.

What happens to a damaged row is decided by the aggregate that owns it: each `CheckedTable` is given a function that is
told of every damaged row and answers "drop" or "refuse".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    and_,
    cast,
    delete,
    literal,
    select,
    tuple_,
    update,
)

from service.database.database import Database, fetch_through
from service.database.drivers.deadline import extend
from service.database.drivers.dialects import insert_unless_present
from service.database.rows import Row, Stored, describe, is_intact, stored
from service.errors import DatabaseError

Decision = Literal["drop", "refuse"]
"""What an aggregate decides about a damaged row of its own.

"drop": the row counts as missing. A look-up by its key deletes it, and the next row with its key replaces it. Right
where the content can be made again, or where its absence does no harm.

"refuse": whatever meets the row raises `DamagedRowError`, and the row stays as it is. Right for history: what cannot
be made again must not disappear silently.
"""

R = TypeVar("R", bound=Row)

_PAGE = 1000  # rows that are read in one query
_FIRST = 4  # rows of which the first usable one is needed

_logger = logging.getLogger("lrtables")


class DamagedRowError(DatabaseError):
    """A row does not match its checksum, and the aggregate that owns it refuses to go on without it."""


@dataclass(frozen=True)
class DamagedRow:
    """A row that does not match its checksum: its values as they were read, which may be of any type."""

    table: Table
    values: Stored

    @property
    def name(self) -> str:
        """The table and the key, as errors and `lrtables verify` show them: `tables 0a1b...`."""
        return f"{self.table.name} {'/'.join(f'{self.values[column.name]}' for column in self.table.primary_key)}"


OnDamage = Callable[[DamagedRow], Decision]


class Aggregate(Protocol):
    """Rows that belong together: they change in one transaction, and one class reads and writes them."""

    @property
    def checked_tables(self) -> Sequence[CheckedTable[Any]]:
        """The tables of the aggregate."""

    def problems(self) -> Iterator[str]:
        """Yield a line for each contradiction between intact rows, for `lrtables verify`."""


class CheckedTable(Generic[R]):
    """A table whose rows carry checksums, and whose key is one column or several; from any thread.

    Every row that is read is compared with its checksum. A damaged one is logged and counted in `damaged_rows`, then
    `on_damage` decides. A damaged key is seen only by the methods that read every row: a look-up does not find it.
    Every method raises `DatabaseError` if the database refuses or does not answer in time, and `DamagedRowError` if
    `on_damage` refuses.

    Args:
        database: in which the table is.
        table: with a primary key and a column `checksum`.
        row_class: has a field for each other column of the table.
        on_damage: is told of each damaged row that is read, and decides what becomes of it.
    """

    def __init__(self, database: Database, table: Table, row_class: type[R], on_damage: OnDamage) -> None:
        self.table = table
        self.damaged_rows = 0
        self._database = database
        self._row_class = row_class
        self._on_damage = on_damage
        self._key: Sequence[Column[Any]] = tuple(table.primary_key)
        self._counting = threading.Lock()

    # -- in a transaction of their own --------------------------------------------------------------------------------

    def find(self, *key: object) -> R | None:
        """Return the row with this key, or None."""
        return self._find(self._has_key(key))

    def find_by(self, column: Column[Any], value: object) -> R | None:
        """Return the row that has this value in a unique column, or None."""
        return self._find(column == value)

    def find_all(
        self, *conditions: ColumnElement[bool], order_by: Sequence[ColumnElement[Any]], limit: int = _PAGE
    ) -> list[R]:
        """Return the first rows that meet all conditions, in this order: `limit` of them at most."""
        query = select(self.table).where(*conditions).order_by(*order_by).limit(limit)
        return list(map(self._row_class.of, self._usable(self._database.fetch(query))))

    def every_row(self) -> Iterator[R]:
        """Yield every row in the order of the keys.

        Each thousand rows are read in a transaction of their own: a row that is written in the meantime may be missing.
        """
        return map(self._row_class.of, self._usable(self._pages(self._database.fetch)))

    def intact(self) -> Iterator[R]:
        """Yield every intact row in the order of the keys. Damaged ones are neither counted nor decided about."""
        rows = self._pages(self._database.fetch)
        return (self._row_class.of(row) for row in rows if is_intact(self.table, row))

    def damaged(self) -> Iterator[DamagedRow]:
        """Yield every damaged row, and change nothing: they are neither counted nor decided about."""
        rows = self._pages(self._database.fetch)
        return (DamagedRow(self.table, row) for row in rows if not is_intact(self.table, row))

    # -- in the transaction of a connection ---------------------------------------------------------------------------

    def snapshot(self, connection: Connection) -> Iterator[Stored]:
        """Yield every row as it is stored, in the order of the keys, as this transaction sees them.

        Each page gives the transaction the database's time again.
        """

        def fetch(query: Select[Any]) -> Sequence[Stored]:
            extend(self._database.timeout_seconds)
            return fetch_through(connection, query)

        return self._usable(self._pages(fetch))

    def lock(self, connection: Connection, *key: object) -> R | None:
        """Return the row with this key, or None. No other transaction changes it until this one ends."""
        row = self._locked(connection, key)
        return None if row is None or not self._is_usable(row) else self._row_class.of(row)

    def first(
        self, connection: Connection, *conditions: ColumnElement[bool], order_by: Sequence[ColumnElement[Any]]
    ) -> R | None:
        """Return the first usable row that meets all conditions, in this order, or None."""
        query = select(self.table).where(*conditions).order_by(*order_by).limit(_FIRST)
        offset = 0
        while rows := fetch_through(connection, query.offset(offset)):
            for row in self._usable(rows):
                return self._row_class.of(row)
            offset += _FIRST
        return None

    def is_present(self, connection: Connection, *key: object) -> bool:
        """Return whether there is a row with this key, intact or not. It is locked until the transaction ends."""
        return self._locked(connection, key) is not None

    def insert(self, connection: Connection, row: R) -> None:
        """Insert a row. Raises `DatabaseError` if its key, or a value that must be unique, is taken."""
        connection.execute(self.table.insert().values(**stored(self.table, row)))

    def insert_or_get(self, connection: Connection, row: R) -> tuple[R, bool]:
        """Insert a row unless its key is taken; return the row that is stored then, and whether it is the new one.

        It is locked until the transaction ends. A damaged row that `on_damage` drops is replaced.
        """
        ours = stored(self.table, row)
        key = [ours[column.name] for column in self._key]
        while not insert_unless_present(connection, self.table, ours):
            theirs = self._locked(connection, key)
            if theirs is not None and self._is_usable(theirs):
                return self._row_class.of(theirs), False
            if theirs is not None:
                self.replace(connection, row)
                return row, True
        return row, True

    def replace(self, connection: Connection, row: R) -> bool:
        """Overwrite the row that has this one's key, and return True; return False if there is none."""
        ours = stored(self.table, row)
        condition = self._has_key([ours[column.name] for column in self._key])
        statement = update(self.table).where(condition).values(**ours)
        return bool(connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount)

    def delete(self, connection: Connection, *conditions: ColumnElement[bool]) -> int:
        """Delete the rows that meet all conditions, damaged ones too; return how many there were."""
        statement = delete(self.table).where(*conditions)
        return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount

    # -- damage -------------------------------------------------------------------------------------------------------

    def _usable(self, rows: Iterable[Stored]) -> Iterator[Stored]:
        return filter(self._is_usable, rows)

    def _is_usable(self, row: Stored) -> bool:
        """Return whether the row is intact; report a damaged one, and raise if the aggregate refuses."""
        if is_intact(self.table, row):
            return True
        self._report(row)
        damaged = DamagedRow(self.table, row)
        if self._on_damage(damaged) == "refuse":
            raise DamagedRowError(
                f"{damaged.name}: the row does not match its checksum, and is kept as it is: restore it from a backup"
            )
        return False

    def _report(self, row: Stored) -> None:
        _logger.error("a row of %s does not match its checksum: %s", self.table.name, describe(row))
        with self._counting:
            self.damaged_rows += 1

    def _delete_damaged(self, row: Stored) -> None:
        """Delete a dropped row, unless another transaction has replaced it in the meantime."""
        key = [row[column.name] for column in self._key]
        with self._database.transaction("write") as connection:
            found = self._locked(connection, key)
            if found is not None and not is_intact(self.table, found):
                self.delete(connection, self._has_key(key))

    # -- keys ---------------------------------------------------------------------------------------------------------

    def _find(self, condition: ColumnElement[bool]) -> R | None:
        for row in self._database.fetch(select(self.table).where(condition)):
            if self._is_usable(row):
                return self._row_class.of(row)
            self._delete_damaged(row)
        return None

    def _locked(self, connection: Connection, key: Sequence[object]) -> Stored | None:
        query = select(self.table).where(self._has_key(key)).with_for_update()
        return next(iter(fetch_through(connection, query)), None)

    def _pages(self, fetch: Callable[[Select[Any]], Sequence[Stored]]) -> Iterator[Stored]:
        """Yield every row in the order of the keys, damaged ones too, read a page at a time."""
        query = select(self.table).order_by(*self._key).limit(_PAGE)
        page = fetch(query)
        while page:
            yield from page
            page = fetch(query.where(self._is_after(page[-1])))

    def _has_key(self, key: Sequence[object]) -> ColumnElement[bool]:
        return and_(*(column == _literal(column, value) for column, value in zip(self._key, key, strict=True)))

    def _is_after(self, row: Stored) -> ColumnElement[bool]:
        return tuple_(*self._key) > tuple_(*(_literal(column, row[column.name]) for column in self._key))


def _literal(column: Column[Any], value: object) -> ColumnElement[Any]:
    """Return a key's value as a query compares it: damaged text comes out of SQLite as bytes."""
    return cast(value, Text) if isinstance(value, bytes) else literal(value, column.type)
