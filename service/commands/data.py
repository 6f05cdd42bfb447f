"""`lrtables verify`, `backup`, `restore` and `gc`: maintenance of a server's data."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from service.commands.options import CommandError, add_data_options, metadata_for, settings_of

if TYPE_CHECKING:
    from service.commands.options import Subparsers
    from service.database.metadata import Metadata
    from service.operations.maintenance import Copied
    from service.storage.store import ObjectStore

_VERIFY = """Read every table and every row of the metadata, and recompute every digest. Prints a line for each problem,
and exits with 1 if there is one. Nothing is changed; the server may be running."""
_BACKUP = """Copy a snapshot of the metadata, and every table in it, into a folder, and verify each table. A folder with
an earlier backup is updated. The server may be running."""
_RESTORE = """Restore a backup into a store and an empty database: the same specs, digests and tokens. A backup of any
backend can be restored to any other."""
_GC = """Remove the tables that the metadata do not refer to, which a crash or a disconnected client leaves behind. With
a data directory the server must be stopped. With an S3-compatible store servers may be running, but no restore: a table
that a server is about to record is not removed, or written again. Tables of the last hour are never removed."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the commands to the subparsers. The parsed arguments' `run` is a function that returns the exit status."""
    verify = _add(subparsers, "verify", "verify all stored data", _VERIFY, _verify)
    backup = _add(subparsers, "backup", "copy all data into a folder", _BACKUP, _backup)
    restore = _add(subparsers, "restore", "restore a backup", _RESTORE, _restore)
    for parser in (backup, restore):
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="the backup")
    collect = _add(subparsers, "gc", "remove tables that nothing refers to", _GC, _collect)
    collect.add_argument("--dry-run", action="store_true", help="only list what would be removed; the server may run")
    for parser in (verify, backup, restore, collect):
        add_data_options(parser)


def _add(
    subparsers: Subparsers, name: str, words: str, description: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(name, help=words, description=description)
    parser.set_defaults(run=run)
    return parser


@contextmanager
def _opened(
    parsed: argparse.Namespace, *, exclusive: bool, make: bool = False
) -> Iterator[tuple[ObjectStore, Metadata]]:
    """Yield the store and the metadata that the options name. `metadata_for` explains `make`."""
    settings = settings_of(parsed)
    from service.operations.maintenance import BackupError  # noqa: PLC0415  # only the server needs the service extra
    from service.storage.open import open_store  # noqa: PLC0415  # the same

    try:
        with (
            metadata_for(parsed, make=make) as metadata,
            closing(open_store(settings, exclusive=exclusive)) as store,
        ):
            yield store, metadata
    except (BackupError, OSError) as error:
        raise CommandError(str(error)) from error


def _verify(parsed: argparse.Namespace) -> int:
    with _opened(parsed, exclusive=False) as (store, metadata):
        from service.operations.maintenance import verify  # noqa: PLC0415  # only the server needs the service extra

        valid, problems = 0, 0
        for problem in verify(store, metadata):
            valid += problem is None
            problems += problem is not None
            if problem is not None:
                print(problem)
    print(f"{valid} files and rows verified, {problems} with problems")
    return min(problems, 1)


def _refuse_data_directory(parsed: argparse.Namespace) -> None:
    """Raise `CommandError` if the backup's folder is the data directory, whose files it would mix with."""
    if parsed.folder.resolve() == settings_of(parsed).data_dir.resolve():
        raise CommandError(f"the backup {parsed.folder} is the data directory itself: choose another folder")


def _backup(parsed: argparse.Namespace) -> int:
    _refuse_data_directory(parsed)
    with _opened(parsed, exclusive=False) as (store, metadata):
        from service.operations.maintenance import backup  # noqa: PLC0415  # only the server needs the service extra

        counts = Counter(backup(store, metadata, parsed.folder))
    print(f"{counts['copied']} tables copied to {parsed.folder}, the metadata with them")
    _print_missing(counts)
    return 0


def _check_backup(parsed: argparse.Namespace) -> None:
    """Raise `CommandError` if the folder holds no backup, before the store and the database are created."""
    from service.operations.maintenance import BackupError, rows_of  # noqa: PLC0415  # only the server needs the service extra

    try:
        rows_of(parsed.folder)
    except BackupError as error:
        raise CommandError(str(error)) from error


def _restore(parsed: argparse.Namespace) -> int:
    _refuse_data_directory(parsed)
    _check_backup(parsed)
    with _opened(parsed, exclusive=True, make=True) as (store, metadata):
        from service.operations.maintenance import restore  # noqa: PLC0415  # only the server needs the service extra

        counts = Counter(restore(parsed.folder, store, metadata))
    print(f"{counts['copied']} tables restored from {parsed.folder}, the metadata with them")
    _print_missing(counts)
    return 0


def _print_missing(counts: Counter[Copied]) -> None:
    if missing := counts["missing"]:
        print(f"{missing} tables have no file, and will be computed again when requested")


def _collect(parsed: argparse.Namespace) -> int:
    with _opened(parsed, exclusive=not parsed.dry_run) as (store, metadata):
        from service.operations.maintenance import YOUNG_SECONDS, garbage, remove  # noqa: PLC0415  # only the server needs the service extra

        sizes = []
        for key, size in garbage(store, metadata):
            if parsed.dry_run or remove(store, metadata, key):
                print(f"{key} {size}")
                sizes.append(size)
        if not parsed.dry_run:
            metadata.tables.clear_marks(time.time() - YOUNG_SECONDS)
    action = "would be removed" if parsed.dry_run else "removed"
    print(f"{len(sizes)} tables, {sum(sizes)} bytes {action}")
    return 0
