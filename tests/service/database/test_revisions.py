"""Upgrades from an empty or older database to the newest revision, and what is refused."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from scheduler.canonical import canonical_hash
from service.database.database import Database
from service.database.drivers.engine import parse_url
from service.database.metadata import Metadata
from service.database.schema import SCHEMA
from service.errors import DatabaseError

OpenDatabase = Callable[..., Metadata]
Execute = Callable[..., list[dict[str, Any]]]

_SPEC = '{"schedule":{},"total_steps":3}'


def _digest(number: int) -> str:
    return f"{number:064x}"


def test_an_empty_database_is_given_its_tables(open_database: OpenDatabase, database_url: str, tmp_path: Path) -> None:
    """Opening an empty database upgrades it, and opening it again changes nothing."""
    with closing(Metadata(database_url, timeout_seconds=60)) as fresh:
        current, head = fresh.status()
        assert current is None
        assert not any(tmp_path.iterdir())
    for _ in range(2):
        assert open_database(database_url).status() == (head, head)


def _insert_0001(execute: Execute, table: str, *rows: dict[str, Any]) -> None:
    """Write rows as the first versions did."""
    for row in rows:
        present = {name: value for name, value in row.items() if value is not None}
        values = {**row, "checksum": canonical_hash({"table": table, "row": present})}
        names = ", ".join(values)
        execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in values)})", values)


def test_an_older_revision_is_refused_until_it_is_upgraded(
    open_database: OpenDatabase, database_url: str, execute: Execute
) -> None:
    """Only an upgrade changes a database of an earlier version, and it keeps the rows."""
    with closing(Metadata(database_url, timeout_seconds=60)) as older:
        older.upgrade("0001")
        _insert_0001(execute, "specs", {"spec_id": "s", "spec": _SPEC, "digest": _digest(1), "created_at": 1.5})
        with pytest.raises(DatabaseError, match=r"revision 0001 and .* run 'lrtables db upgrade'"):
            open_database(database_url)
        assert older.status()[0] == "0001"
        older.upgrade()
        assert older.tables.digest_of("s") == _digest(1)
    open_database(database_url)


def test_a_later_revision_is_refused(
    metadata: Metadata, execute: Execute, open_database: OpenDatabase, database_url: str
) -> None:
    """A database of a later version is neither used nor upgraded."""
    execute("UPDATE alembic_version SET version_num = 'f00d'")
    for attempt in (lambda: open_database(database_url), metadata.upgrade):
        with pytest.raises(DatabaseError, match="revision f00d, which this version does not know: a later version"):
            attempt()
    assert metadata.status()[0] == "f00d"


def test_the_tables_of_others_are_left_alone(execute: Execute, open_database: OpenDatabase, database_url: str) -> None:
    """A database that holds something else is refused."""
    execute("CREATE TABLE users (name TEXT)")
    with pytest.raises(DatabaseError, match="the database holds tables of something else: users"):
        open_database(database_url)
    assert execute("SELECT * FROM users") == []


def test_the_migrations_lead_to_the_schema(open_database: OpenDatabase, database_url: str) -> None:
    """After all migrations the database has exactly the tables and columns of the schema."""
    open_database(database_url)
    with closing(Database(parse_url(database_url), 60)) as database, database.transaction("read") as connection:
        assert compare_metadata(MigrationContext.configure(connection), SCHEMA) == []


def test_origins_that_were_not_computed_become_claims(
    open_database: OpenDatabase, database_url: str, execute: Execute
) -> None:
    """An origin that `specs` lacks becomes a claim, the others are dropped, and damaged rows stay damaged."""
    false = '{"schedule":{"kind":"Constant"},"total_steps":3}'
    origins = [_SPEC, false, false, None, _SPEC, _SPEC]
    with closing(Metadata(database_url, timeout_seconds=60)) as older:
        older.upgrade("0002")
        rows = [
            {"digest": _digest(number), "nbytes": 24, "origin": origin, "created_at": 0.5}
            for number, origin in enumerate(origins)
        ]
        _insert_0001(execute, "tables", *rows)
        specs = [
            {"spec_id": f"s{number}", "spec": _SPEC, "digest": _digest(number), "created_at": 1.5} for number in (0, 1)
        ]
        _insert_0001(execute, "specs", *specs)
        execute("UPDATE tables SET nbytes = 25 WHERE digest = :digest", {"digest": _digest(4)})
        older.upgrade()
    upgraded = open_database(database_url)
    claims = {row.digest: row.claim for row in upgraded.tables.every_table()}
    assert {digest: claim and json.loads(claim) for digest, claim in claims.items()} == {
        _digest(0): None,
        _digest(1): {"spec": json.loads(false), "provenance": {}},
        _digest(2): {"spec": json.loads(false), "provenance": {}},
        _digest(3): None,
        _digest(5): {"spec": json.loads(_SPEC), "provenance": {}},
    }
    assert [len(upgraded.tables.specs_of(_digest(number))) for number in range(3)] == [1, 1, 0]
    assert [line.split()[1].rstrip(":") for line in upgraded.verify_rows()] == [_digest(4)]


def test_a_failed_upgrade_changes_nothing(execute: Execute, database_url: str) -> None:
    """A migration that fails half way leaves the database as it was."""
    with closing(Metadata(database_url, timeout_seconds=60)) as metadata:
        metadata.upgrade("0001")
        execute("CREATE TABLE tokens (name TEXT)")
        with pytest.raises(DatabaseError, match=r"tokens.* already exists"):
            metadata.upgrade()
        assert metadata.status()[0] == "0001"
        execute("DROP TABLE tokens")
        metadata.upgrade()
