"""The tables in the store: verified whenever they are read, set aside where they are damaged."""

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
_TRIES = 3  # others may damage, or set aside, what is written meanwhile; but not for ever


class _Named(Protocol):
    @property
    def digest(self) -> str: ...


T = TypeVar("T", bound=_Named)


def table_key(digest: str) -> str:
    """Where a table lies in a store."""
    return f"tables/{digest[:2]}/{digest}.safetensors"


class TableFiles:
    """The files of tables. Everything blocks. `damaged` counts those that were found damaged."""

    def __init__(self, store: ObjectStore) -> None:
        self.damaged = 0
        self._store = store

    def size(self, digest: str) -> int | None:
        """Bytes of the table's file; None where there is none."""
        found = self._store.stat(table_key(digest))
        return None if found is None else found.size

    def load(self, digest: str) -> Table | None:
        """The table in memory, verified; None where it is missing, or it was damaged and has been set aside."""
        return self._verified(digest, self._load)

    def open(self, digest: str) -> TableReader | None:
        """The same table, its values left in the store: whatever its size, that takes little memory."""
        return self._verified(digest, self._open)

    def write(self, table: Table) -> bool:
        """Make a table durable. False where an intact one is there, from another spec or machine."""
        for _ in range(_TRIES):
            if self._store.put(table_key(table.digest), table.parts()):
                return True
            if self.open(table.digest) is not None:
                return False
        raise StorageError(f"the table {table.digest} was damaged whenever it was looked at")

    def _verified(self, digest: str, read: Callable[[str], T | None]) -> T | None:
        key = table_key(digest)
        for last in (False, True):  # what is damaged on the way here need not be damaged there
            found = self._store.stat(key) if last else None
            try:
                return self._read(digest, key, read)
            except TableError as error:
                self.damaged += last
                _logger.error("the stored table %s is damaged: %s%s", digest, error, "; set aside" if last else "")  # noqa: TRY400  # expected: no trace
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
    """The table in a stored file, which it keeps in memory. Raises `TableError` where that is not what was stored."""
    if not FileHeader.from_bytes(file, len(file)).checked:
        raise TableError("damaged table: its header has no check")
    return Table.from_bytes(file)
