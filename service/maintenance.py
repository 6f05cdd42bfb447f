"""What an operator does to the data of a server: verify it, back it up, restore it, free what nothing needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scheduler import Spec, TableError
from service.files import table_key
from service.metadata import Metadata
from service.storage.local import LocalStore
from service.storage.store import ObjectStore
from service.streamed import StoredTable

METADATA_FILE = "metadata.jsonl"


class BackupError(Exception):
    """A backup that cannot be made, or not be restored: what is there is damaged, or in the way."""


def verify(store: ObjectStore, metadata: Metadata) -> Iterator[str | None]:
    """Read every object and every row, and take every digest anew: None for each that is well, else a line.

    A table is well when its file is whole and under its own digest, a spec when it has the id that it is filed under,
    and its table a row. A table that has a row and no file is reported: it is computed again when it is asked for.
    """
    files = set()
    for key, size in store.keys():  # noqa: SIM118  # no dictionary
        files.add(key)
        yield _file_problem(store, key, size)
    yield from metadata.verify_rows()
    for row in metadata.tables():
        yield None if table_key(row.digest) in files else f"table {row.digest} has no file"
    for spec in metadata.specs():
        yield _spec_problem(spec.spec_id, spec.spec)


def _file_problem(store: ObjectStore, key: str, size: int) -> str | None:
    try:
        digest = StoredTable(store, key, size).digest
    except TableError as error:
        return f"{key}: {error}"
    return None if table_key(digest) == key else f"{key}: it is the table {digest}"


def _spec_problem(spec_id: str, text: str) -> str | None:
    try:
        found = Spec.model_validate_json(text).id
    except ValueError:
        return f"spec {spec_id} is of a kind that this version does not know"
    return None if found == spec_id else f"spec {spec_id} has the id {found} now: a kind was revised since"


def backup(store: ObjectStore, metadata: Metadata, folder: Path) -> Iterator[str]:
    """Copy all rows, as they are at one moment, and every table that they name, into a folder; yields what was copied.

    A folder with an earlier backup is brought up to date: tables that are there are verified, not copied. The server
    may run meanwhile. Raises `BackupError` where a table is damaged; the rows are in place only when all is well.
    """
    with_tables = LocalStore(folder)
    try:
        snapshot = folder / f"{METADATA_FILE}.new"
        snapshot.unlink(missing_ok=True)
        metadata.backup(snapshot)
        for row in metadata.tables():
            yield from _copy(store, with_tables, table_key(row.digest))
        snapshot.replace(folder / METADATA_FILE)
    finally:
        with_tables.close()


def restore(folder: Path, store: ObjectStore, metadata: Metadata) -> Iterator[str]:
    """Put a backup into a store and an empty database; yields what was copied.

    Raises `BackupError` where the folder holds no backup or a damaged one; the rows come last, when all is well.
    """
    if not (folder / METADATA_FILE).is_file():
        raise BackupError(f"{folder} holds no backup: there is no {METADATA_FILE} in it")
    tables = LocalStore(folder, exclusive=False)
    for key, _ in tables.keys():  # noqa: SIM118  # no dictionary
        yield from _copy(tables, store, key)
    metadata.restore(folder / METADATA_FILE)


def _copy(source: ObjectStore, target: ObjectStore, key: str) -> Iterator[str]:
    """Copy a table that is not there yet; verify it in any case. A table without a file has nothing to copy."""
    found = source.stat(key)
    if found is None:
        return
    if (problem := _file_problem(source, key, found.size)) is not None:
        raise BackupError(problem)
    data = source.get(key)
    if data is not None and target.put(key, [data]):
        yield key
    elif (there := target.stat(key)) is not None and (problem := _file_problem(target, key, there.size)) is not None:
        raise BackupError(f"in the target, {problem}")


def garbage(store: ObjectStore, metadata: Metadata) -> Iterator[tuple[str, int]]:
    """Key and size of every file that no row names: what a crash left behind between writing it and recording it.

    Raises `BackupError` where a row is damaged: the file it named would look like garbage.
    """
    problem = next(metadata.verify_rows(), None)
    if problem is not None:
        raise BackupError(f"the metadata are damaged ({problem}); see 'lrtables verify'")
    return ((key, size) for key, size in store.keys() if not metadata.has_table(Path(key).stem))  # noqa: SIM118  # no dictionary
