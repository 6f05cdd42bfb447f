"""The token of the current request."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel, Field

from service.documentation.examples import Example
from service.http.request_id import IDENTITY
from service.routes.declaration import Access, Resource
from service.security.tokens import Limits, Scope, identity_of

resource = Resource("server", "/v1/token")

_FRESH = 5.0  # seconds for which a proxy may cache that a token is valid
_STALE = 300.0  # additional seconds while no server responds
_ANYONE_STALE = 86_400.0  # the same if no tokens are required: there is none to revoke


class TokenInfo(BaseModel):
    """A token, without its secret."""

    token_id: str = Field(description="public ID of the token; empty if the server requires no tokens")
    name: str
    scopes: list[Scope]
    namespaces: list[str]
    limits: Limits
    expires_at: datetime | None


@resource.declare("GET", "", scope=Access.ANY_TOKEN, example=Example(), errors=(401,), response_model=TokenInfo)
async def who_asks(request: Request, response: Response) -> Any:
    """The token of the current request: its scopes, limits and expiry."""
    response.headers["cache-control"] = "no-store"
    identity = identity_of(request.scope)
    expires_at = identity.expires_at
    return TokenInfo(
        token_id=identity.token_id,
        name=identity.name,
        scopes=list(identity.scopes),
        namespaces=list(identity.namespaces),
        limits=identity.limits,
        expires_at=None if expires_at is None else datetime.fromtimestamp(expires_at, UTC),
    )


@resource.declare(
    "GET",
    "/{scope}",
    scope=Access.SCOPE_IN_PATH,
    example=Example({"scope": "publish"}, status=204, responses=()),
    errors=(401, 403),
    status_code=204,
    response_model=None,
)
async def check_token(scope: Scope, request: Request) -> Response:
    """Whether the token has this scope: 204 if it has, else 403. A proxy checks it before it serves a cached response.

    `Cache-Control` is how long the proxy may cache this response: 5 seconds, and 300 more while no server responds, but
    not beyond the token's expiry.
    """
    identity = identity_of(request.scope)
    left = math.inf if identity.expires_at is None else max(identity.expires_at - time.time(), 0.0)
    stale = _STALE if IDENTITY in request.scope else _ANYONE_STALE
    holds = f"max-age={min(_FRESH, left):.0f}, stale-if-error={min(stale, left):.0f}"
    return Response(status_code=204, headers={"cache-control": holds})
