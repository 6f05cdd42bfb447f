"""`lrtables db status` and `upgrade`: the revision of the metadata's database."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from service.commands.options import add_data_options, metadata_for
from service.errors import DatabaseError

if TYPE_CHECKING:
    from service.commands.options import Subparsers

_STATUS = """Print the revision of the database and the one that this version needs. If they differ, print what to do,
and exit with 1. Nothing is changed."""
_UPGRADE = """Upgrade the database to the revision that this version needs, in one transaction. A SQLite file is copied
first. Back up PostgreSQL before, with pg_dump, or with 'lrtables backup' of the version that created the database. Stop
the servers of earlier versions: they reject the new revision. An empty database needs no upgrade: the server creates
the tables."""


def add_parser(subparsers: Subparsers) -> None:
    """Add `db` to the subparsers. The parsed arguments' `run` is a function that returns the exit status."""
    parser = subparsers.add_parser("db", help="show or upgrade the revision of the database")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add(actions, "status", "print the revision of the database", _STATUS, _status)
    _add(actions, "upgrade", "upgrade the database to the newest revision", _UPGRADE, _upgrade)


def _add(
    actions: Subparsers, name: str, words: str, description: str, run: Callable[[argparse.Namespace], int]
) -> None:
    parser = actions.add_parser(name, help=words, description=description)
    add_data_options(parser)
    parser.set_defaults(run=run)


def _status(parsed: argparse.Namespace) -> int:
    with metadata_for(parsed, of_any_revision=True) as metadata:
        current, head = metadata.status()
        print(f"{metadata.url} has revision {current or 'none'}, this version needs {head}")
        try:
            metadata.usable_revision()
        except DatabaseError as error:
            print(error)
    return int(current != head)


def _upgrade(parsed: argparse.Namespace) -> int:
    with metadata_for(parsed, of_any_revision=True) as metadata:
        before, _ = metadata.status()
        if copy := metadata.upgrade():
            print(f"the previous database was copied to {copy}")
        after, _ = metadata.status()
        print(f"{metadata.url} has revision {after} now, it had {before or 'none'}")
    return 0
