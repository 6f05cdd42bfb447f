"""`lrtables verify`, `backup`, `restore` and `gc`: the data of a server in an operator's hands."""

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

_VERIFY = """Read every table and every row of the metadata, and take every digest anew. Prints a line for each that is
not as it should be, and exits with 1 where there was one. Nothing is changed; the server may run meanwhile."""
_BACKUP = """Copy the metadata, as they are at one moment, and every table that they name, into a folder, each verified.
A folder with an earlier backup is brought up to date. The server may run meanwhile."""
_RESTORE = """Put a backup into a store and an empty database: the same specs, the same digests, the same tokens. Any
backend takes the backup of any other."""
_GC = """Remove the tables that nothing names: what a crash, or a client that left, leaves behind. With a data directory
the server has to be stopped. With an S3-compatible store servers may run, but no restore: what one of them is about to
name stays, or is written again. A table of the last hour stays in any case."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the commands to a command's subparsers; `run` of the parsed arguments is what returns the exit code."""
    verify = _add(subparsers, "verify", "verify every stored byte", _VERIFY, _verify)
    backup = _add(subparsers, "backup", "copy everything into a folder", _BACKUP, _backup)
    restore = _add(subparsers, "restore", "put a backup in place", _RESTORE, _restore)
    for parser in (backup, restore):
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="the backup")
    collect = _add(subparsers, "gc", "remove tables that nothing names", _GC, _collect)
    collect.add_argument("--dry-run", action="store_true", help="only say what would be removed; the server may run")
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
    """The store and the metadata that the options name, the metadata as `metadata_for` has them."""
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

        well, problems = 0, 0
        for problem in verify(store, metadata):
            well += problem is None
            problems += problem is not None
            if problem is not None:
                print(problem)
    print(f"{well} files and rows verified, {problems} with problems")
    return min(problems, 1)


def _refuse_data_directory(parsed: argparse.Namespace) -> None:
    """What is backed up, or restored, lies somewhere else than its backup."""
    if parsed.folder.resolve() == settings_of(parsed).data_dir.resolve():
        raise CommandError(f"the backup {parsed.folder} is the data directory itself")


def _backup(parsed: argparse.Namespace) -> int:
    _refuse_data_directory(parsed)
    with _opened(parsed, exclusive=False) as (store, metadata):
        from service.operations.maintenance import backup  # noqa: PLC0415  # only the server needs the service extra

        counts = Counter(backup(store, metadata, parsed.folder))
    print(f"{counts['copied']} tables copied to {parsed.folder}, the metadata with them")
    _print_missing(counts)
    return 0


def _refuse_what_is_no_backup(parsed: argparse.Namespace) -> None:
    """What cannot be restored is refused before anything is made for it."""
    from service.operations.maintenance import BackupError, rows_of  # noqa: PLC0415  # only the server needs the service extra

    try:
        rows_of(parsed.folder)
    except BackupError as error:
        raise CommandError(str(error)) from error


def _restore(parsed: argparse.Namespace) -> int:
    _refuse_data_directory(parsed)
    _refuse_what_is_no_backup(parsed)
    with _opened(parsed, exclusive=True, make=True) as (store, metadata):
        from service.operations.maintenance import restore  # noqa: PLC0415  # only the server needs the service extra

        counts = Counter(restore(parsed.folder, store, metadata))
    print(f"{counts['copied']} tables restored from {parsed.folder}, the metadata with them")
    _print_missing(counts)
    return 0


def _print_missing(counts: Counter[Copied]) -> None:
    if missing := counts["missing"]:
        print(f"{missing} tables have no file and will be computed anew")


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
    said = "would be removed" if parsed.dry_run else "removed"
    print(f"{len(sizes)} tables, {sum(sizes)} bytes {said}")
    return 0
