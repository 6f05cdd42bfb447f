"""Rows of the database, and the checksum that each carries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from sqlalchemy import Table

from scheduler.canonical import canonical_hash, canonical_json

Stored = Mapping[str, Any]
"""A row as it is stored: the value of every column, its checksum too."""


@dataclass(frozen=True)
class Row:
    """A row of one table: a subclass has a field for each column but the checksum."""

    @classmethod
    def of(cls, stored: Stored) -> Self:
        """Return the row with the values of these columns; its checksum is not looked at."""
        return cls(**_content(stored))


def stored(table: Table, row: Row) -> Stored:
    """Return a row of this table as it is stored: lists and mappings as JSON, and the checksum."""
    values = {name: value if _is_plain(value) else canonical_json(value) for name, value in asdict(row).items()}
    return {**values, "checksum": checksum(table, values)}


def checksum(table: Table, values: Stored) -> str:
    """Return the SHA-256 of the canonical JSON of the table's name and the row's values.

    The checksum itself and values that are None are left out. A later revision can therefore add a column that is
    empty at first without changing any checksum. Raises `ValueError` or `TypeError` for values that canonical JSON
    cannot hold.
    """
    present = {name: value for name, value in _content(values).items() if value is not None}
    return canonical_hash({"table": table.name, "row": present})


def is_intact(table: Table, row: Stored) -> bool:
    """Return whether the row matches its checksum."""
    try:
        return bool(row["checksum"] == checksum(table, row))
    except (ValueError, TypeError):
        return False


def describe(row: Stored) -> str:
    """Return a damaged row as one line for the log, without a token's hash."""
    return json.dumps({name: value for name, value in row.items() if name != "hash"}, default=repr)


def _content(row: Stored) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "checksum"}


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)
