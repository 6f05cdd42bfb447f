"""What the routes share: the parts of the server they call, and how they are declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request

from scheduler import Spec
from service.http.disconnect import cancel_on_disconnect
from service.http.problems import Problem
from service.state import ServerState
from service.tables.service import Served


async def _server(request: Request) -> ServerState:
    server: ServerState = request.app.state.server
    return server


ServerDep = Annotated[ServerState, Depends(_server)]
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="the table's digest: 64 hexadecimal digits")]


async def obtain(spec: Spec, request: Request, server: ServerState) -> tuple[Served, bool]:
    """The table of a spec for the client of this request, and whether it was made for it; see `TableService.obtain`.

    When the client goes away, and no other waits for the table, its computation ends.
    """
    if (ready := server.tables.cached_for(spec)) is not None:
        return ready, False
    return await cancel_on_disconnect(request.receive, server.tables.obtain(spec))


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
