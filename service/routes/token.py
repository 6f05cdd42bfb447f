"""Who asks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from service.guard import identity_of
from service.routes.parts import problems, readable
from service.tokens import Limits, Scope

router = APIRouter(tags=["server"])


class TokenInfo(BaseModel):
    """A token, without its secret."""

    token_id: str = Field(description="public; empty where the server asks for no tokens")
    name: str
    scopes: list[Scope]
    namespaces: list[str]
    limits: Limits
    expires_at: datetime | None


@readable(router, "/v1/token", response_model=TokenInfo, responses=problems(401))
async def who_asks(request: Request, response: Response) -> Any:
    """The token that the request came with: what it allows, how much of it, and until when."""
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
