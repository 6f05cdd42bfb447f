"""Whether the server lives, whether it can work, and what it allows and has done."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any, Literal

from fastapi import Query, Response
from pydantic import BaseModel, Field

from service.documentation.examples import Example
from service.errors import NotReadyError, StorageError
from service.observability.metrics import CONTENT_TYPE
from service.representations.formats import FORMATS
from service.routes.declaration import Access, Resource
from service.routes.dependencies import ServerDep
from service.settings import VERSION
from service.state import ServerState
from service.tables.service import counters

resource = Resource("server")


class Status(BaseModel):
    """That all is well."""

    status: str = "ok"


class Readiness(Status):
    """Whether the server can work, and where it was asked for, which of its parts can."""

    parts: dict[str, str] | None = Field(None, description="`ok`, or what is wrong, by part")


class ServerInfo(BaseModel):
    """The server about itself."""

    version: str
    limits: dict[str, int] = Field(description="a request for more is refused")
    formats: dict[str, str] = Field(description="media types of tables by the ending of their address")
    counters: dict[str, int] = Field(description="what was done since the server started")
    cache: dict[str, int] = Field(description="tables in memory, their bytes, and how many bytes they may be")


def _no_store(response: Response) -> None:
    response.headers["cache-control"] = "no-store"


@resource.declare("GET", "/livez", scope=Access.OPEN, example=Example(), response_model=Status)
async def livez(response: Response) -> Any:
    """The process lives: if this does not answer, restart it."""
    _no_store(response)
    return Status()


@resource.declare(
    "GET",
    "/readyz",
    scope=Access.OPEN_WITHOUT_QUERY,
    example=Example({"verbose": "true"}),
    errors=(503,),
    response_model=Readiness,
    response_model_exclude_none=True,
)
async def readyz(
    response: Response,
    server: ServerDep,
    verbose: Annotated[
        Literal[""] | bool | None,  # `?verbose`, as Kubernetes asks
        Query(description="say of each part whether it is well; it needs no value"),
    ] = None,
) -> Any:
    """The server can serve tables: until this answers, send it no requests.

    A server that has tables in memory can serve them without store and database, so it stays ready when those are
    away. It also stays ready when it cannot compute, as it can serve what is stored. One that was told to stop is not
    ready any more.
    """
    _no_store(response)
    wants_parts = verbose == "" or verbose
    if server.draining:
        raise NotReadyError("the server was told to stop")
    parts = {} if len(server.tables.cache) and not wants_parts else await _parts(server)
    ill = {name: said for name, said in parts.items() if said != "ok"}
    if ill and not len(server.tables.cache):
        raise NotReadyError("; ".join(f"{name}: {said}" for name, said in ill.items()))
    return Readiness(parts={**parts, "computations": server.tables.computations.state()} if wants_parts else None)


async def _parts(server: ServerState) -> dict[str, str]:
    return {
        "store": await _said(server.executors.storage(server.store.check)),
        "database": await _said(server.executors.database(server.metadata.check)),
    }


async def _said(check: Awaitable[None]) -> str:
    try:
        await check
    except StorageError as error:
        return str(error)
    return "ok"


@resource.declare(
    "GET",
    "/metrics",
    scope="read",
    example=Example(answers=("text/plain",)),
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
async def metrics(server: ServerDep) -> Response:
    """What the server does, in the text format that Prometheus reads."""
    text = await server.executors.health(server.metrics.text, server.readings())
    return Response(text, headers={"cache-control": "no-store"}, media_type=CONTENT_TYPE)


@resource.declare("GET", "/v1/server", scope="read", example=Example(), response_model=ServerInfo)
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
