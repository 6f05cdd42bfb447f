"""Rows of the database, and the checksum that each carries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from sqlalchemy import Table

from scheduler.canonical import canonical_hash, canonical_json

Stored = Mapping[str, Any]
"""A row as it is stored: the value of every column, its checksum too."""


@dataclass(frozen=True)
class TableRow:
    """A table: its digest, the size of its values, what its publisher said of it, and since when it is there.

    `claim` is the JSON of a `service.tables.origins.Claim`, or None. `created_at` is in seconds since 1970.
    """

    digest: str
    nbytes: int
    claim: str | None
    created_at: float

    @classmethod
    def of(cls, stored: Stored) -> Self:
        """The row from its columns."""
        return cls(**_content(stored))


@dataclass(frozen=True)
class SpecRow:
    """Which table a spec has: this service has computed it. `created_at` is in seconds since 1970.

    `spec` is the spec's JSON, `provenance` that of the versions that computed the table, where they are known.
    """

    spec_id: str
    spec: str
    digest: str
    created_at: float
    provenance: str | None = None

    @classmethod
    def of(cls, stored: Stored) -> Self:
        """The row from its columns."""
        return cls(**_content(stored))


@dataclass(frozen=True)
class CondemnedRow:
    """A table whose file `gc` removes, or has removed, and since when, in seconds since 1970."""

    digest: str
    condemned_at: float


@dataclass(frozen=True)
class TokenRow:
    """A token: its public name, the SHA-256 of its text, what it allows. Times are in seconds since 1970."""

    token_id: str
    name: str
    hash: str
    scopes: Sequence[str]
    namespaces: Sequence[str]
    limits: Mapping[str, Any]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None

    @classmethod
    def of(cls, stored: Stored) -> Self:
        """The row from its columns."""
        parsed = {name: json.loads(stored[name]) for name in ("scopes", "namespaces", "limits")}
        return cls(**{**_content(stored), **parsed})

    def state(self, now: float) -> Literal["valid", "expired", "revoked"]:
        """Whether the token is good for anything at this time."""
        if self.revoked_at is not None:
            return "revoked"
        return "valid" if self.expires_at is None or now < self.expires_at else "expired"


Row = TableRow | SpecRow | CondemnedRow | TokenRow


def stored(table: Table, row: Row) -> Stored:
    """A row of this table as it is stored."""
    values = {name: value if _is_plain(value) else canonical_json(value) for name, value in asdict(row).items()}
    return {**values, "checksum": checksum(table, values)}


def checksum(table: Table, values: Stored) -> str:
    """SHA-256 of the canonical JSON of the table's name and of every value of the row but this and those that are None.

    None is left out so that a column that a later revision adds, empty, leaves every checksum as it was. Raises
    `ValueError` or `TypeError` for values that no row of ours has.
    """
    present = {name: value for name, value in _content(values).items() if value is not None}
    return canonical_hash({"table": table.name, "row": present})


def is_sound(table: Table, row: Stored) -> bool:
    """Whether the row matches its checksum."""
    try:
        return bool(row["checksum"] == checksum(table, row))
    except (ValueError, TypeError):
        return False


def one_line(row: Stored) -> str:
    """A damaged row as the log shows it: all of it but a token's hash."""
    return json.dumps({name: value for name, value in row.items() if name != "hash"}, default=repr)


def _content(row: Stored) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "checksum"}


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)
