"""The revision of a database: what this version needs, what a database has, and the way from one to the other."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from service.storage.store import DatabaseError

_LOCK = 0x6C727461626C6573  # PostgreSQL's name of the lock that whoever migrates takes: "lrtables"


def head_revision() -> str:
    """The revision that this version needs."""
    (head,) = _scripts(_config()).get_heads()
    return head


def current_revision(connection: Connection) -> str | None:
    """The revision that the database has; None where it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: Connection, revision: str = "head", *, only_empty: bool = False) -> None:
    """Bring the database to a revision, in the transaction of the connection: all or nothing.

    Others that do the same at the same moment wait for it. With `only_empty` nothing but an empty database is touched.
    Raises `DatabaseError` where the database has tables of others, a revision that this version does not know, or,
    with `only_empty`, an older one.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = _config()
    current = current_revision(connection)
    _refuse_strangers(connection, config, current)
    if only_empty and current is not None:
        refuse_older(current)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def refuse_older(current: str) -> None:
    """Raise `DatabaseError` where a revision that this version knows is not the one it needs."""
    if current != (head := head_revision()):
        raise DatabaseError(
            f"the database has revision {current} and this version needs {head}: run 'lrtables db upgrade'"
        )


def _refuse_strangers(connection: Connection, config: Config, current: str | None) -> None:
    if current is None:
        if names := inspect(connection).get_table_names():
            raise DatabaseError(f"the database holds tables of something else: {', '.join(sorted(names)[:5])}")
    elif current not in {script.revision for script in _scripts(config).walk_revisions()}:
        raise DatabaseError(
            f"the database has revision {current}, which this version does not know: a later version made it"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "service:migrations")
    return config


def _scripts(config: Config) -> ScriptDirectory:
    return ScriptDirectory.from_config(config)
