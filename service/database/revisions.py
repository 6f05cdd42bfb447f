"""Revisions of the database: which one this version needs, which one a database has, and upgrades."""

from __future__ import annotations

from functools import cache

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from service.database.drivers.dialects import lock_number
from service.errors import DatabaseError

_LOCK = 0x6C727461626C6573  # the number of the lock that migrations take: "lrtables" in ASCII


def head_revision() -> str:
    """Return the revision that this version needs."""
    (head,) = _scripts().get_heads()
    return head


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the database, or None. Raises `DatabaseError` if it has several."""
    found = MigrationContext.configure(connection).get_current_heads()
    if len(found) > 1:
        raise DatabaseError(f"the database is damaged: it has the revisions {', '.join(sorted(found))}")
    return next(iter(found), None)


def usable_revision(connection: Connection, *, older: bool = False) -> str | None:
    """Return the revision of a database that this version can use: its own, or None if the database is empty.

    With `older`, also one from which it can be upgraded. Raises `DatabaseError`, which says what to do, if the database
    has another revision or tables of something else.
    """
    current, head = current_revision(connection), head_revision()
    if current is None:
        if names := inspect(connection).get_table_names():
            raise DatabaseError(f"the database holds tables of something else: {', '.join(sorted(names)[:5])}")
    elif current not in {script.revision for script in _scripts().walk_revisions()}:
        raise DatabaseError(
            f"the database has revision {current}, which this version does not know: a later version made it"
        )
    elif current != head and not older:
        raise DatabaseError(
            f"the database has revision {current} and this version needs {head}: run 'lrtables db upgrade'"
        )
    return current


def lock(connection: Connection) -> None:
    """Let no other transaction upgrade the database until this one ends."""
    lock_number(connection, _LOCK)


def upgrade(connection: Connection, revision: str) -> None:
    """Upgrade the database from a usable revision to this one, within the connection's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "service:migrations")
    return config


@cache  # reading it executes the module of every revision
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
