"""Tokens: their format, what is stored of them, and what they allow."""

from __future__ import annotations

import re
import secrets
import string
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Literal, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from starlette.types import Scope as ASGIScope

from scheduler import Spec
from scheduler.named_tables import named_digests
from service.database.tokens import TokenRow
from service.errors import FieldError, ForbiddenError, LimitExceededError
from service.http.request_id import IDENTITY

Scope = Literal["read", "compute", "propose", "publish", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""What a token may allow: reading, having tables computed, proposing changes of runs, publishing and changing, all."""

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 22  # characters of 62: 131 random bits
_LONGEST_NAME = 100
TOKEN = re.compile(rf"lrt_[0-9A-Za-z]{{{_LENGTH}}}")
"""The format of a token: a prefix that secret scanners can find, and random characters."""
NAMESPACE = re.compile(r"\*|[\w.-]+(/[\w.-]+)*(/\*)?", re.ASCII)
"""The format of a namespace pattern: `*` is all, `team-a/*` everything under team-a, `team-a/bert` one name."""


def make_token() -> str:
    """Return the text of a new token, with at least 128 random bits. It is shown once, and never stored."""
    return "lrt_" + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def token_hash(token: str) -> str:
    """Return the SHA-256 of a token, which is stored in its place. 128 random bits need no slow password hash."""
    return sha256(token.encode()).hexdigest()


class Limits(BaseModel):
    """The limits of a token; None is unlimited. Each server process counts separately."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    requests_per_second: float | None = Field(None, ge=0.001, le=1e9)
    bytes_per_second: float | None = Field(None, ge=1, le=1e15, description="bytes of response bodies")
    max_steps: PositiveInt | None = Field(None, description="largest total_steps")

    @cached_property
    def has_rates(self) -> bool:
        """Whether there is a rate limit, so that requests must be counted."""
        return self.requests_per_second is not None or self.bytes_per_second is not None


UNLIMITED = Limits()


@dataclass(frozen=True)
class Identity:
    """The identity of a request: its token without the secret.

    Args:
        token_id: public ID of the token, for logs and for revoking it.
        name: label given to the token when it was created.
        scopes: what the token allows; `admin` allows everything.
        namespaces: patterns of run names for which the scopes hold, such as `*` or `team-a/*`.
        limits: rate and size limits.
        expires_at: seconds since 1970, or None for never.
    """

    token_id: str
    name: str
    scopes: Sequence[Scope]
    namespaces: Sequence[str] = ("*",)
    limits: Limits = UNLIMITED
    expires_at: float | None = None

    @classmethod
    def of(cls, row: TokenRow) -> Identity:
        """Return the identity of a stored token."""
        scopes = cast(Sequence[Scope], tuple(row.scopes))
        limits = Limits.model_validate(row.limits)
        return cls(row.token_id, row.name, scopes, tuple(row.namespaces), limits, row.expires_at)

    def allows(self, scope: Scope, namespace: str | None = None) -> bool:
        """Return whether the token has this scope, in this namespace if one is given."""
        if scope not in self.scopes and "admin" not in self.scopes:
            return False
        return namespace is None or any(_covers(pattern, namespace) for pattern in self.namespaces)

    def check(self, scope: Scope, what: str = "this", namespace: str | None = None) -> None:
        """Raise `ForbiddenError` if the token lacks the scope that `what` needs, or does not cover its namespace."""
        if not self.allows(scope):
            raise ForbiddenError(
                f"{what} needs a token with the scope {scope}; this one has {', '.join(self.scopes)}", scope
            )
        if not self.allows(scope, namespace):
            detail = f"{what} needs a token for the namespace {namespace}; this one has {', '.join(self.namespaces)}"
            raise ForbiddenError(detail, scope)

    def check_spec(self, spec: Spec) -> None:
        """Raise `ForbiddenError` or `LimitExceededError` if the token does not allow this spec.

        A spec that refers to a stored table needs the scope `read`, because the result reveals that table's values.
        """
        self.check_steps(spec.total_steps)
        if named_digests(spec.every_schedule()):
            self.check("read", "a spec that names a table by its digest")

    def check_steps(self, total_steps: int) -> None:
        """Raise `LimitExceededError` for a table of more steps than the token allows."""
        limit = self.limits.max_steps
        if limit is not None and total_steps > limit:
            detail = f"total_steps must be at most {limit} with this token (max_steps), got {total_steps}"
            raise LimitExceededError(detail, [FieldError(detail, pointer="/total_steps", value=total_steps)])


_ANYONE = Identity("", "anyone", SCOPES)  # if the server requires no tokens


def identity_of(scope: ASGIScope) -> Identity:
    """Return the identity of a request by its ASGI scope. Without required tokens it is one that may do everything."""
    identity: Identity = scope.get(IDENTITY, _ANYONE)
    return identity


def _covers(pattern: str, namespace: str) -> bool:
    if pattern.endswith("*"):
        return namespace.startswith(pattern[:-1])
    return namespace == pattern


def new_token(
    name: str,
    scopes: Sequence[str],
    namespaces: Sequence[str] = ("*",),
    limits: Limits = UNLIMITED,
    *,
    expires_in: float | None,
    now: float | None = None,
) -> tuple[str, TokenRow]:
    """Return a new token's text, and its row for the database.

    Args:
        name: label shown in `token list`.
        scopes: at least one of `SCOPES`.
        namespaces: patterns that match `NAMESPACE`.
        limits: rate and size limits.
        expires_in: seconds, or None for never.
        now: seconds since 1970; default: the system clock.

    Raises `ValueError` naming the first value that is not allowed.
    """
    _check_names(name, scopes, namespaces)
    token, created_at = make_token(), time.time() if now is None else now
    row = TokenRow(
        token_id=secrets.token_hex(6),
        name=name,
        hash=token_hash(token),
        scopes=tuple(dict.fromkeys(scopes)),
        namespaces=tuple(dict.fromkeys(namespaces)),
        limits=limits.model_dump(exclude_none=True),
        created_at=created_at,
        expires_at=None if expires_in is None else created_at + expires_in,
        revoked_at=None,
    )
    return token, row


def _check_names(name: str, scopes: Sequence[str], namespaces: Sequence[str]) -> None:
    listed = "read, compute, propose, publish or admin"
    if not (0 < len(name) <= _LONGEST_NAME and name.isprintable()):
        raise ValueError(f"name must be 1 to {_LONGEST_NAME} printable characters, got {name!r}")
    if not scopes:
        raise ValueError(f"scope is missing: a token needs at least one of {listed}")
    for scope in scopes:
        if scope not in SCOPES:
            raise ValueError(f"scope must be {listed}, got {scope!r}")
    for namespace in namespaces:
        if not NAMESPACE.fullmatch(namespace):
            raise ValueError(f"namespace must be like team-a/*, team-a/bert or *, got {namespace!r}")
