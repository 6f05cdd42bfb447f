"""What the routes share: the parts of the server they call, and how they are declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request

from service.problems import Problem
from service.settings import Settings
from service.specs import SpecReader
from service.storage.store import ObjectStore
from service.tables import TableService
from service.threads import Threads


@dataclass(frozen=True)
class Server:
    """The parts of a running server."""

    settings: Settings
    store: ObjectStore
    threads: Threads
    specs: SpecReader
    tables: TableService


async def _server(request: Request) -> Server:
    server: Server = request.app.state.server
    return server


ServerDep = Annotated[Server, Depends(_server)]
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="the table's digest: 64 hexadecimal digits")]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors that a route documents beside its answer."""
    content = {"application/problem+json": {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
    return {status: {"description": "an error", "content": content} for status in statuses}


def readable(router: APIRouter, path: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare an endpoint for GET and for HEAD, which takes the same way and leaves out the body."""

    def declare(endpoint: Callable[..., Any]) -> Callable[..., Any]:
        router.add_api_route(path, endpoint, methods=["GET"], **options)
        router.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False, **options)
        return endpoint

    return declare
