"""Tokens in the database: one suite for SQLite and PostgreSQL."""

import traceback

import pytest

from service.database.metadata import Metadata
from service.database.tokens import TokenRow
from service.errors import DatabaseError

_TOKEN = TokenRow("id-1", "nightly", "5e" * 32, ["read", "compute"], ["team-a/*"], {"max_steps": 9}, 1.5, 2.5)


def test_a_token_is_found_by_its_hash(metadata: Metadata) -> None:
    """What was added comes back equal, by its hash and in the list."""
    metadata.tokens.add(_TOKEN)
    assert metadata.tokens.find_by_hash(_TOKEN.hash) == _TOKEN
    assert metadata.tokens.every_token() == [_TOKEN]
    assert metadata.tokens.find_by_hash("5f" * 32) is None


def test_tokens_are_listed_by_age(metadata: Metadata) -> None:
    """The oldest token comes first."""
    made = [TokenRow(f"id-{n}", "", f"{n}" * 64, [], [], {}, float(n * 7 % 10)) for n in range(10)]
    for token in made:
        metadata.tokens.add(token)
    assert metadata.tokens.every_token() == sorted(made, key=lambda token: token.created_at)


def test_a_token_is_revoked_once(metadata: Metadata) -> None:
    """A revoked token keeps the time of the first revocation."""
    metadata.tokens.add(_TOKEN)
    assert metadata.tokens.revoke("id-1", 7.5)
    assert not metadata.tokens.revoke("id-1", 8.5)
    assert not metadata.tokens.revoke("id-2", 8.5)
    revoked = metadata.tokens.find_by_hash(_TOKEN.hash)
    assert revoked is not None
    assert revoked.revoked_at == 7.5


def test_no_two_tokens_share_a_hash(metadata: Metadata) -> None:
    """A token whose hash or id is taken is refused, and the error does not repeat the hash."""
    metadata.tokens.add(_TOKEN)
    with pytest.raises(DatabaseError, match=r"(?i)unique") as refused:
        metadata.tokens.add(TokenRow("id-2", "", _TOKEN.hash, [], [], {}, 1.0))
    assert _TOKEN.hash not in "".join(traceback.format_exception(refused.value)).replace(f"({_TOKEN.hash})", "")
