"""The tables in the store: verified whenever they are read, and quarantined if they are damaged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

from scheduler import Table, TableError
from scheduler.table_format import FileHeader
from service.errors import StorageError
from service.storage.store import ObjectStore
from service.tables.stored import TableReader

_logger = logging.getLogger("lrtables")
_TRIES = 3  # other servers may quarantine the file at the same time, but not forever


class _Named(Protocol):
    @property
    def digest(self) -> str: ...


T = TypeVar("T", bound=_Named)


def table_key(digest: str) -> str:
    """Return the key of a table's object in the store."""
    return f"tables/{digest[:2]}/{digest}.safetensors"


class TableFiles:
    """The files of tables. Every method blocks. `damaged` counts the tables that were found damaged."""

    def __init__(self, store: ObjectStore) -> None:
        self.damaged = 0
        self._store = store

    def size(self, digest: str) -> int | None:
        """Return the size of the table's file in bytes; None if there is no file."""
        found = self._store.stat(table_key(digest))
        return None if found is None else found.size

    def load(self, digest: str) -> Table | None:
        """Return the verified table, in memory; None if it is missing, or was damaged and has been quarantined."""
        return self._verified(digest, self._load)

    def open(self, digest: str) -> TableReader | None:
        """Return the same as `load`, but with the values in the store. It takes little memory for any table."""
        return self._verified(digest, self._open)

    def write(self, table: Table) -> bool:
        """Write a table durably. Return False if an intact file exists already."""
        for _ in range(_TRIES):
            if self._store.put(table_key(table.digest), table.parts()):
                return True
            if self.open(table.digest) is not None:
                return False
        raise StorageError(f"the table {table.digest} was found damaged {_TRIES} times after it was written")

    def _verified(self, digest: str, read: Callable[[str], T | None]) -> T | None:
        key = table_key(digest)
        for last in (False, True):  # read it twice: it may be intact in the store, and damaged in transfer
            found = self._store.stat(key) if last else None
            try:
                return self._read(digest, key, read)
            except TableError as error:
                self.damaged += last
                _logger.error("the stored table %s is damaged: %s%s", digest, error, "; quarantined" if last else "")  # noqa: TRY400  # expected: no trace
        if found is not None:
            self._store.quarantine(key, found.version)
        return None

    def _read(self, digest: str, key: str, read: Callable[[str], T | None]) -> T | None:
        table = read(key)
        if table is not None and table.digest != digest:
            raise TableError(f"it is the table {table.digest}")
        return table

    def _load(self, key: str) -> Table | None:
        file = self._store.get(key)
        return None if file is None else read_table(file)

    def _open(self, key: str) -> TableReader | None:
        found = self._store.stat(key)
        return None if found is None else TableReader(self._store, key, found.size)


def read_table(file: memoryview) -> Table:
    """Return the table in a stored file as a view of its memory. Raises `TableError` if the file was changed."""
    if not FileHeader.from_bytes(file, len(file)).checked:
        raise TableError("damaged table: its header has no check")
    return Table.from_bytes(file)
