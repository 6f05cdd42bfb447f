"""Maintenance of a server's data: verification, backup, restore, and deletion of files that nothing refers to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from scheduler import Spec, TableError
from service.database.backup import rows_in
from service.database.metadata import Metadata
from service.database.schema import SPECS, TABLES
from service.storage.local import LocalStore, sync
from service.storage.store import ObjectStore
from service.tables.repository import read_table, table_key
from service.tables.stored import TableReader

METADATA_FILE = "metadata.jsonl"
YOUNG_SECONDS = 3600
"""Age of a file below which it is never garbage: a server writes the file first, and records the table later."""

Copied = Literal["copied", "kept", "missing"]
"""Result for a table: its file was copied, was there already, or is missing and will be computed when needed."""


class BackupError(Exception):
    """A backup cannot be made or restored, because data is damaged, missing, or in the way."""


def verify(store: ObjectStore, metadata: Metadata) -> Iterator[str | None]:
    """Read every object and every row, and recompute every digest: yield None for each good one, else a line.

    A file is good if it is complete and has the digest of its key. A spec is good if this version can read it and its
    table has a row; its id may be that of an earlier version. A table with a row and no file is reported, and computed
    again when it is requested.
    """
    files = set()
    for key, size in store.keys():  # noqa: SIM118  # no dictionary
        files.add(key)
        yield _file_problem(store, key, size)
    yield from metadata.verify_rows()
    for row in metadata.tables.every_table():
        key = table_key(row.digest)
        there = key in files or store.stat(key) is not None  # it may be newer than the list
        yield None if there else f"table {row.digest} has no file"
    for spec in metadata.tables.every_spec():
        yield _spec_problem(spec.spec_id, spec.spec)


def _file_problem(store: ObjectStore, key: str, size: int) -> str | None:
    try:
        digest = TableReader(store, key, size).digest
    except TableError as error:
        return f"{key}: {error}"
    return None if table_key(digest) == key else f"{key}: it is the table {digest}"


def _spec_problem(spec_id: str, text: str) -> str | None:
    try:
        Spec.model_validate_json(text)
    except ValueError:
        return f"spec {spec_id} is of a kind that this version does not know"
    return None


def backup(store: ObjectStore, metadata: Metadata, folder: Path) -> Iterator[Copied]:
    """Copy all rows, as they are at one moment, and every table that they name, into a folder.

    A folder with an earlier backup is updated: tables that it holds are verified, not copied. The server may be
    running. Raises `BackupError` if a table is damaged, or is missing and cannot be computed. The rows replace those of
    the earlier backup last, after every table was copied.
    """
    with_tables = LocalStore(folder)
    try:
        snapshot = folder / f"{METADATA_FILE}.new"
        snapshot.unlink(missing_ok=True)
        metadata.backup(snapshot)
        for row in metadata.tables.every_table():
            yield _copied(store, with_tables, row.digest, lambda digest: bool(metadata.tables.specs_of(digest)))
        snapshot.replace(folder / METADATA_FILE)
        sync(folder)
    finally:
        with_tables.close()


def restore(folder: Path, store: ObjectStore, metadata: Metadata) -> Iterator[Copied]:
    """Restore a backup into a store and an empty database.

    Raises `BackupError` if the folder holds no backup or a damaged one. The rows are inserted last, after every table
    was copied.
    """
    rows = rows_of(folder)
    metadata.check_empty()
    computed = {
        row["digest"] for table, row in rows_in(rows) if table is SPECS
    }  # every row is verified before a file is copied
    tables = LocalStore(folder, exclusive=False)
    for table, row in rows_in(rows):
        if table is TABLES:
            yield _copied(tables, store, row["digest"], computed.__contains__)
    metadata.restore(rows)


def rows_of(folder: Path) -> Path:
    """Return the file with the rows of a backup. Raises `BackupError` if there is none."""
    rows = folder / METADATA_FILE
    if not rows.is_file():
        raise BackupError(f"{folder} holds no backup: there is no {METADATA_FILE} in it")
    return rows


def _copied(source: ObjectStore, target: ObjectStore, digest: str, computed: Callable[[str], bool]) -> Copied:
    """Copy a table unless the target has it, and verify it. Without a file anywhere it must have been `computed`."""
    key = table_key(digest)
    data = source.get(key)
    if data is not None:
        try:
            table = read_table(data)
        except TableError as error:
            raise BackupError(f"{key}: {error}") from error
        if table.digest != digest:
            raise BackupError(f"{key}: it is the table {table.digest}")
        if target.put(key, table.parts()):
            return "copied"
    found = target.stat(key)
    if found is None:
        if not computed(digest):
            raise BackupError(f"table {digest} has no file, and nothing says what it was computed from")
        return "missing"
    if (problem := _file_problem(target, key, found.size)) is not None:
        raise BackupError(f"in the target, {problem}")
    return "kept"


def garbage(store: ObjectStore, metadata: Metadata) -> Iterator[tuple[str, int]]:
    """Yield key and size of every file without a row, such as a crash leaves between writing and recording a table.

    A file may get its row later, so `remove` looks again. Raises `BackupError` if a row is damaged, or if no file has a
    row, as with the metadata of another store: good files would look like garbage.
    """
    problem = next(metadata.verify_rows(), None)
    if problem is not None:
        raise BackupError(f"the metadata are damaged ({problem}); see 'lrtables verify'")
    named = (metadata.tables.has_table(Path(key).stem) for key, _ in store.keys())  # noqa: SIM118  # no dictionary
    if not next(named, True) and not any(named):
        raise BackupError(f"{metadata.url} knows none of the tables in {store.url}: is it of another store?")
    return (
        (key, size)
        for key, size in store.keys()  # noqa: SIM118  # no dictionary
        if not metadata.tables.has_table(Path(key).stem) and _is_old(store, key)
    )


def remove(store: ObjectStore, metadata: Metadata, key: str) -> bool:
    """Delete a file without a row; return False, and keep it, if it has one by now. Servers may be running.

    The table is first marked for deletion: a server that has seen the file, and is about to record the table, is then
    told to write the file again. The file is deleted while no server can record the table.
    """
    digest, tables = Path(key).stem, metadata.tables
    return tables.mark_for_deletion(digest) and tables.delete_marked(digest, lambda: store.delete(key))


def _is_old(store: ObjectStore, key: str) -> bool:
    found = store.stat(key)
    return found is not None and time.time() - found.modified > YOUNG_SECONDS
