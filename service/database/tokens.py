"""The tokens that may use the server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from typing_extensions import override

from service.database.checked_table import CheckedTable, DamagedRow, Decision
from service.database.database import Database
from service.database.rows import Row, Stored
from service.database.schema import TOKENS


@dataclass(frozen=True)
class TokenRow(Row):
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
    @override
    def of(cls, stored: Stored) -> Self:
        parsed = {name: json.loads(stored[name]) for name in ("scopes", "namespaces", "limits")}
        return super().of({**stored, **parsed})

    def state(self, now: float) -> Literal["valid", "expired", "revoked"]:
        """Return whether the token can be used at this time."""
        if self.revoked_at is not None:
            return "revoked"
        return "valid" if self.expires_at is None or now < self.expires_at else "expired"


class TokenRecords:
    """The tokens of a server, without their text; from any thread.

    A damaged token is dropped: it then allows nothing. Every method blocks, and raises `DatabaseError` if the database
    refuses or does not answer in time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tokens = CheckedTable(database, TOKENS, TokenRow, _drop)

    @property
    def checked_tables(self) -> Sequence[CheckedTable[Any]]:
        """The tables of the database that this aggregate owns."""
        return (self._tokens,)

    def problems(self) -> Iterator[str]:
        """Yield nothing: no token depends on another row."""
        return iter(())

    def add(self, token: TokenRow) -> None:
        """Store a token. Raises `DatabaseError` if its id or its hash is taken."""
        with self._database.transaction("write") as connection:
            self._tokens.insert(connection, token)

    def find_by_hash(self, hash: str) -> TokenRow | None:  # noqa: A002  # what it is called wherever tokens are kept
        """Return the token whose text has this SHA-256; None if there is none."""
        return self._tokens.find_by(TOKENS.c.hash, hash)

    def every_token(self) -> list[TokenRow]:
        """Return every token, revoked and expired ones too, the oldest first."""
        return sorted(self._tokens.every_row(), key=lambda token: (token.created_at, token.token_id))

    def revoke(self, token_id: str, at: float) -> bool:
        """Revoke a token at this time, in seconds since 1970. Return False if it is missing or already revoked."""
        with self._database.transaction("write") as connection:
            token = self._tokens.lock(connection, token_id)
            if token is None or token.revoked_at is not None:
                return False
            self._tokens.replace(connection, replace(token, revoked_at=at))
            return True


def _drop(damaged: DamagedRow) -> Decision:
    """Drop any damaged row: a token whose scopes or hash cannot be trusted must not let anybody in."""
    return "drop"
