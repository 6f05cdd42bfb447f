"""What a token is made of, and what it allows."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from pydantic import ValidationError

from service.errors import LimitExceededError
from service.security.tokens import SCOPES, TOKEN, Identity, Limits, Scope, make_token, new_token, token_hash


def test_a_token_is_long_and_looks_like_one() -> None:
    """A token has a prefix that can be found, and 22 characters of 62: more than 128 bits. None comes twice."""
    made = {make_token() for _ in range(1000)}
    assert len(made) == 1000
    assert all(TOKEN.fullmatch(token) for token in made)
    assert 62**22 > 2**128
    assert len(set("".join(token[4:] for token in made))) == 62


def test_only_the_hash_is_kept() -> None:
    """What is stored of a token is its SHA-256; the token is in no part of it."""
    token, row = new_token("ci", ["read"], expires_in=60.0)
    assert row.hash == token_hash(token) == hashlib.sha256(token.encode()).hexdigest()
    assert token not in repr(row)
    assert token[4:] not in repr(Identity.of(row))


def test_an_identity_is_what_was_stored() -> None:
    """A token that is made and read has the name, scopes, namespaces, limits and expiry it was made with."""
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
        pytest.param("a", ["write"], ["*"], r"scope must be read, compute, publish or admin, got 'write'", id="scope"),
        pytest.param("a", [], ["*"], r"a token needs a scope: read, compute, publish or admin", id="no-scope"),
        pytest.param("a", ["read"], ["a/*/b"], r"namespace must be .* got 'a/\*/b'", id="star-inside"),
        pytest.param("a", ["read"], [""], r"namespace must be .* got ''", id="empty-namespace"),
        pytest.param("a", ["read"], ["ä"], r"namespace must be .* got 'ä'", id="no-ascii"),
    ],
)
def test_a_token_of_nonsense_is_not_made(name: str, scopes: list[str], namespaces: list[str], message: str) -> None:
    """A bad name, scope or namespace is refused with its value."""
    with pytest.raises(ValueError, match=f"^{message}"):
        new_token(name, scopes, namespaces, expires_in=None)


@pytest.mark.parametrize("limits", [{"max_steps": 0}, {"requests_per_second": 0}, {"bytes_per_second": float("nan")}])
def test_a_limit_is_a_positive_number(limits: dict[str, float]) -> None:
    """A limit that allows nothing, or is no number, is refused."""
    with pytest.raises(ValidationError, match=next(iter(limits))):
        Limits.model_validate(limits)


@pytest.mark.parametrize(("granted", "asked"), list(itertools.product(SCOPES, SCOPES)))
def test_a_scope_allows_itself_and_admin_allows_all(granted: Scope, asked: Scope) -> None:
    """No scope contains another, but admin, which contains all."""
    assert Identity("id", "name", (granted,)).allows(asked) == (granted in (asked, "admin"))


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("*", ["a", "team-a/b", "team-a"], []),
        ("team-a/*", ["team-a/b", "team-a/b/c"], ["team-a", "team-ab/c", "team-b/a", "a"]),
        ("team-a", ["team-a"], ["team-a/b", "team-ab"]),
    ],
)
def test_a_namespace_covers_what_is_under_it(pattern: str, inside: list[str], outside: list[str]) -> None:
    """`team-a/*` covers every name that begins so, a name only itself, `*` all; the scope is needed anyway."""
    identity = Identity("id", "name", ("read",), (pattern,))
    assert [name for name in [*inside, *outside] if identity.allows("read", name)] == inside
    assert not any(identity.allows("publish", name) for name in inside)


def test_steps_are_limited_by_name() -> None:
    """More steps than the token allows are refused, naming limit and value; without a limit none are."""
    identity = Identity("id", "name", ("read",), limits=Limits(max_steps=100))
    identity.check_steps(100)
    with pytest.raises(
        LimitExceededError, match=r"total_steps must be at most 100 with this token .*, got 101"
    ) as caught:
        identity.check_steps(101)
    assert [error.pointer for error in caught.value.errors] == ["/total_steps"]
    Identity("id", "name", ("read",)).check_steps(10**12)
