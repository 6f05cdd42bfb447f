"""The metadata as a whole: verification, damage and backups of every aggregate, on SQLite and on PostgreSQL."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Table

from service.database.metadata import Metadata
from service.database.rows import Row, stored
from service.database.schema import SCHEMA, SPECS, TABLES, TOKENS
from service.database.tables import SpecRow, TableRow
from service.database.tokens import TokenRow

Execute = Callable[..., list[dict[str, Any]]]

_SPEC = '{"schedule":{},"total_steps":3}'
_TOKEN = TokenRow("id-1", "nightly", "5e" * 32, ["read", "compute"], ["team-a/*"], {"max_steps": 9}, 1.5, 2.5)


def _digest(number: int) -> str:
    return f"{number:064x}"


def test_a_working_database_passes_its_check(metadata: Metadata) -> None:
    """`check` returns; closing twice and using a closed one does no harm."""
    metadata.check()
    metadata.close()
    metadata.check()
    metadata.close()


def test_every_table_belongs_to_one_aggregate(metadata: Metadata) -> None:
    """Verification and backups reach every table of the schema, each through the aggregate that owns it."""
    owned = [checked.table for each in metadata.aggregates for checked in each.checked_tables]
    assert sorted(table.name for table in owned) == sorted(SCHEMA.tables)


def _insert(execute: Execute, table: Table, *rows: Row) -> None:
    names = table.columns.keys()
    values = [dict(stored(table, row)) for row in rows]
    execute(f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})", values)


_ROWS: tuple[tuple[Table, Row], ...] = (
    (TABLES, TableRow(_digest(1), 24, _SPEC, 1.5)),
    (SPECS, SpecRow("s", _SPEC, _digest(1), 1.5, "{}")),
    (TOKENS, _TOKEN),
)
_COLUMNS = [
    pytest.param(column.table, column.name, id=f"{column.table}.{column.name}")
    for table, _ in _ROWS
    for column in table.columns
]


class TestDamage:
    @pytest.fixture(autouse=True)
    def _rows(self, metadata: Metadata, execute: Execute) -> None:
        for table, row in _ROWS:
            _insert(execute, table, row)

    @pytest.mark.parametrize(("table", "column"), _COLUMNS)
    def test_a_damaged_row_counts_as_missing(
        self, metadata: Metadata, execute: Execute, caplog: pytest.LogCaptureFixture, table: Table, column: str
    ) -> None:
        """A change in any column makes the row missing: it is logged, counted, reported, and can be written again."""
        assert list(metadata.verify_rows()) == []
        _damage(execute, table, column)
        assert any("does not match its checksum" in line for line in metadata.verify_rows())
        assert metadata.damaged_rows == 0
        reads: dict[str, Callable[[], object]] = {
            "tables": lambda: metadata.tables.has_table(_digest(1)) or list(metadata.tables.every_table()),
            "specs": lambda: metadata.tables.digest_of("s") or list(metadata.tables.every_spec()),
            "tokens": lambda: metadata.tokens.find_by_hash(_TOKEN.hash) or metadata.tokens.every_token(),
        }
        with caplog.at_level(logging.ERROR, "lrtables"):
            assert not reads[table.name]()
        assert metadata.damaged_rows == 1
        assert f"a row of {table.name} does not match its checksum" in caplog.text
        assert _TOKEN.hash not in caplog.text
        metadata.tables.record("s", "{}", _digest(1), 24)
        assert (metadata.tables.digest_of("s"), metadata.tables.has_table(_digest(1))) == (_digest(1), True)

    def test_a_damaged_row_is_replaced_by_the_next_record(self, metadata: Metadata, execute: Execute) -> None:
        """Recording over damaged rows replaces them in the same transaction."""
        _damage(execute, TABLES, "claim")
        _damage(execute, SPECS, "digest")
        assert metadata.tables.record("s", "{}", _digest(1), 24) == _digest(1)
        assert metadata.damaged_rows == 2
        assert (metadata.tables.claim(_digest(1)), metadata.damaged_rows) == (None, 2)

    def test_a_damaged_token_is_not_revoked(self, metadata: Metadata, execute: Execute) -> None:
        """A damaged token allows nothing, and revoking it does not give it a valid checksum."""
        _damage(execute, TOKENS, "scopes")
        assert not metadata.tokens.revoke("id-1", 7.5)
        assert metadata.tokens.find_by_hash(_TOKEN.hash) is None

    def test_a_spec_without_its_table_is_reported(self, metadata: Metadata, execute: Execute) -> None:
        """`verify_rows` names a spec whose table has no row."""
        execute("DELETE FROM tables")
        assert list(metadata.verify_rows()) == [f"specs s: there is no row for its table {_digest(1)}"]


def _damage(execute: Execute, table: Table, column: str) -> None:
    """Change a character, or a number by one, in every row."""
    is_text = table.columns[column].type.python_type is str
    changed = f"'!' || substr({column}, 2)" if is_text else f"coalesce({column}, 0) + 1"
    execute(f"UPDATE {table.name} SET {column} = {changed}")
