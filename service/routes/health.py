"""Whether the server lives, whether it can work, and what it allows and has done."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from service.formats import FORMATS
from service.manifest import VERSION
from service.routes.parts import ServerDep, problems, readable
from service.tables import counters

router = APIRouter(tags=["server"])


class Status(BaseModel):
    """That all is well."""

    status: str = "ok"


class ServerInfo(BaseModel):
    """The server about itself."""

    version: str
    limits: dict[str, int] = Field(description="a request for more is refused")
    formats: dict[str, str] = Field(description="media types of tables by the ending of their address")
    counters: dict[str, int] = Field(description="what was done since the server started")
    cache: dict[str, int] = Field(description="tables in memory, their bytes, and how many bytes they may be")


def _no_store(response: Response) -> None:
    response.headers["cache-control"] = "no-store"


@readable(router, "/livez", response_model=Status)
async def livez(response: Response) -> Any:
    """The process lives: if this does not answer, restart it."""
    _no_store(response)
    return Status()


@readable(router, "/readyz", response_model=Status, responses=problems(503))
async def readyz(response: Response, server: ServerDep) -> Any:
    """The server can compute and keep tables: until this answers, send it no requests."""
    _no_store(response)
    await server.threads.disk(server.store.check)
    return Status()


@readable(router, "/v1/server", response_model=ServerInfo)
async def info(response: Response, server: ServerDep) -> Any:
    """Version, limits and counters."""
    _no_store(response)
    cache = server.tables.cache
    return ServerInfo(
        version=VERSION,
        limits=server.settings.limits,
        formats={item.extension: item.media_type for item in FORMATS},
        counters=counters(server.tables),
        cache={"tables": len(cache), "bytes": cache.nbytes, "capacity": cache.capacity},
    )
