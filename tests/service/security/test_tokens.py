"""Tokens: their format, what is stored of them, and what they allow."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from pydantic import ValidationError

from service.errors import LimitExceededError
from service.security.tokens import SCOPES, TOKEN, Identity, Limits, Scope, make_token, new_token, token_hash


def test_a_token_is_long_and_has_the_format() -> None:
    """A token has a prefix that scanners can find, and 22 characters of 62: more than 128 bits. All are different."""
    made = {make_token() for _ in range(1000)}
    assert len(made) == 1000
    assert all(TOKEN.fullmatch(token) for token in made)
    assert 62**22 > 2**128
    assert len(set("".join(token[4:] for token in made))) == 62


def test_only_the_hash_is_stored() -> None:
    """The row of a token has its SHA-256, and the token in no column."""
    token, row = new_token("ci", ["read"], expires_in=60.0)
    assert row.hash == token_hash(token) == hashlib.sha256(token.encode()).hexdigest()
    assert token not in repr(row)
    assert token[4:] not in repr(Identity.of(row))


def test_an_identity_has_the_values_of_its_row() -> None:
    """An identity has the name, scopes, namespaces, limits and expiry that its token was created with."""
    limits = Limits(requests_per_second=0.5, max_steps=100)
    _, row = new_token("ci", ["compute", "read"], ["team-a/*", "b"], limits, expires_in=60.0, now=1000.0)
    identity = Identity.of(row)
    assert identity == Identity(row.token_id, "ci", ("compute", "read"), ("team-a/*", "b"), limits, 1060.0)
    assert Identity.of(new_token("ci", ["read"], expires_in=None)[1]).expires_at is None


@pytest.mark.parametrize(
    ("name", "scopes", "namespaces", "message"),
    [
        pytest.param("", ["read"], ["*"], r"name must be 1 to 100 printable characters, got ''", id="no-name"),
        pytest.param("a\nb", ["read"], ["*"], r"name must be .* got 'a\\nb'", id="two-lines"),
        pytest.param("a" * 101, ["read"], ["*"], r"name must be .* got 'aaa", id="long-name"),
        pytest.param(
            "a", ["write"], ["*"], r"scope must be read, compute, propose, publish or admin, got 'write'", id="scope"
        ),
        pytest.param(
            "a",
            [],
            ["*"],
            r"scope is missing: a token needs at least one of read, compute, propose, publish or admin",
            id="no-scope",
        ),
        pytest.param("a", ["read"], ["a/*/b"], r"namespace must be .* got 'a/\*/b'", id="star-inside"),
        pytest.param("a", ["read"], [""], r"namespace must be .* got ''", id="empty-namespace"),
        pytest.param("a", ["read"], ["ä"], r"namespace must be .* got 'ä'", id="no-ascii"),
    ],
)
def test_an_invalid_token_is_not_created(name: str, scopes: list[str], namespaces: list[str], message: str) -> None:
    """The error about an invalid name, scope or namespace has the value."""
    with pytest.raises(ValueError, match=f"^{message}"):
        new_token(name, scopes, namespaces, expires_in=None)


@pytest.mark.parametrize("limits", [{"max_steps": 0}, {"requests_per_second": 0}, {"bytes_per_second": float("nan")}])
def test_a_limit_is_a_positive_number(limits: dict[str, float]) -> None:
    """A limit that is zero or not a number is rejected."""
    with pytest.raises(ValidationError, match=next(iter(limits))):
        Limits.model_validate(limits)


@pytest.mark.parametrize(("granted", "asked"), list(itertools.product(SCOPES, SCOPES)))
def test_a_scope_allows_itself_and_admin_allows_all(granted: Scope, asked: Scope) -> None:
    """Each scope allows only itself, but admin allows every scope."""
    assert Identity("id", "name", (granted,)).allows(asked) == (granted in (asked, "admin"))


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("*", ["a", "team-a/b", "team-a"], []),
        ("team-a/*", ["team-a/b", "team-a/b/c"], ["team-a", "team-ab/c", "team-b/a", "a"]),
        ("team-a", ["team-a"], ["team-a/b", "team-ab"]),
    ],
)
def test_a_namespace_pattern_covers_the_names_under_it(pattern: str, inside: list[str], outside: list[str]) -> None:
    """`team-a/*` covers every name under team-a, a name only itself, `*` all; the scope is needed in any case."""
    identity = Identity("id", "name", ("read",), (pattern,))
    assert [name for name in [*inside, *outside] if identity.allows("read", name)] == inside
    assert not any(identity.allows("publish", name) for name in inside)


def test_the_number_of_steps_is_limited() -> None:
    """The error about too many steps has the limit and the value; without a limit any number is allowed."""
    identity = Identity("id", "name", ("read",), limits=Limits(max_steps=100))
    identity.check_steps(100)
    with pytest.raises(
        LimitExceededError, match=r"total_steps must be at most 100 with this token .*, got 101"
    ) as caught:
        identity.check_steps(101)
    assert [error.pointer for error in caught.value.errors] == ["/total_steps"]
    Identity("id", "name", ("read",)).check_steps(10**12)
