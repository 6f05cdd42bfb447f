"""Liveness, readiness, metrics, limits and counters of the server."""

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
    """The status of a working server."""

    status: str = "ok"


class Readiness(Status):
    """The readiness of the server, and of each of its parts if requested."""

    parts: dict[str, str] | None = Field(None, description="`ok` or an error, by part")


class ServerInfo(BaseModel):
    """Version, limits and counters of the server."""

    version: str
    limits: dict[str, int] = Field(description="limits on requests; a request beyond one is rejected")
    formats: dict[str, str] = Field(description="media types of tables by the extension of their path")
    counters: dict[str, int] = Field(description="counters since the server started")
    cache: dict[str, int] = Field(description="number of cached tables, their bytes, and the cache's size in bytes")


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
        Query(description="include the state of each part; it needs no value"),
    ] = None,
) -> Any:
    """The server can serve tables: until this answers, send it no requests.

    A server with tables in memory can serve them without store and database, so it stays ready when those fail. It also
    stays ready when it cannot compute, because it can serve stored tables. A stopping server is not ready.
    """
    _no_store(response)
    wants_parts = verbose == "" or verbose
    if server.draining:
        raise NotReadyError("the server is stopping")
    parts = {} if len(server.tables.cache) and not wants_parts else await _parts(server)
    failed = {name: state for name, state in parts.items() if state != "ok"}
    if failed and not len(server.tables.cache):
        raise NotReadyError("; ".join(f"{name}: {state}" for name, state in failed.items()))
    return Readiness(parts={**parts, "computations": server.tables.computations.state()} if wants_parts else None)


async def _parts(server: ServerState) -> dict[str, str]:
    return {
        "store": await _state_of(server.executors.storage(server.store.check)),
        "database": await _state_of(server.executors.database(server.metadata.check)),
    }


async def _state_of(check: Awaitable[None]) -> str:
    try:
        await check
    except StorageError as error:
        return str(error)
    return "ok"


@resource.declare(
    "GET",
    "/metrics",
    scope="read",
    example=Example(responses=("text/plain",)),
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
async def metrics(server: ServerDep) -> Response:
    """Metrics in Prometheus' text format."""
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
