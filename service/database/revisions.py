"""The revision of a database: what this version needs, what a database has, and the way from one to the other."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from service.errors import DatabaseError

_LOCK = 0x6C727461626C6573  # PostgreSQL's name of the lock that whoever migrates takes: "lrtables"


def head_revision() -> str:
    """The revision that this version needs."""
    (head,) = _scripts(_config()).get_heads()
    return head


def current_revision(connection: Connection) -> str | None:
    """The revision that the database has; None where it has none. Raises `DatabaseError` where it has several."""
    found = MigrationContext.configure(connection).get_current_heads()
    if len(found) > 1:
        raise DatabaseError(f"the database is damaged: it has the revisions {', '.join(sorted(found))}")
    return next(iter(found), None)


def usable_revision(connection: Connection, *, older: bool = False) -> str | None:
    """The revision of a database that this version works with: its own, or None where it is empty.

    With `older` also one that an upgrade leads from. Raises `DatabaseError`, which says what to do, where the database
    has another revision, or tables of others.
    """
    current, head = current_revision(connection), head_revision()
    if current is None:
        if names := inspect(connection).get_table_names():
            raise DatabaseError(f"the database holds tables of something else: {', '.join(sorted(names)[:5])}")
    elif current not in {script.revision for script in _scripts(_config()).walk_revisions()}:
        raise DatabaseError(
            f"the database has revision {current}, which this version does not know: a later version made it"
        )
    elif current != head and not older:
        raise DatabaseError(
            f"the database has revision {current} and this version needs {head}: run 'lrtables db upgrade'"
        )
    return current


def lock(connection: Connection) -> None:
    """Wait for others that upgrade the database, and let none begin before the transaction's end."""
    if connection.dialect.name == "postgresql":  # a transaction that writes is SQLite's lock
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def upgrade(connection: Connection, revision: str) -> None:
    """Bring the database, of a usable revision, to this one, in the transaction of the connection: all or nothing."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "service:migrations")
    return config


def _scripts(config: Config) -> ScriptDirectory:
    return ScriptDirectory.from_config(config)
