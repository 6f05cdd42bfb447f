"""FastAPI dependencies and helpers that the routes share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request

from scheduler import Spec
from service.http.disconnect import cancel_on_disconnect
from service.representations.table_responses import TableResponses
from service.security.authenticator import Authenticator, authorization
from service.state import ServerState
from service.tables.entries import Entry


async def _server(request: Request) -> ServerState:
    server: ServerState = request.app.state.server
    return server


ServerDep = Annotated[ServerState, Depends(_server)]
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="the table's digest: 64 hexadecimal digits")]


async def obtain(spec: Spec, request: Request, server: ServerState) -> tuple[Entry[TableResponses], bool]:
    """Return the table of a spec, and whether this request computed it; see `TableService.obtain`.

    When the client disconnects, and no other client waits for the table, the computation is cancelled.
    """
    if (ready := server.tables.cached_for(spec)) is not None:
        return ready, False
    return await cancel_on_disconnect(request.receive, server.tables.obtain(spec))


async def check_token_again(request: Request) -> None:
    """Check a token that was valid when its request began, after a long time: it may have been revoked since.

    Raises `UnauthenticatedError`, and what else `Authenticator.authenticate` raises. A check is cached for seconds.
    """
    authenticator: Authenticator | None = request.app.state.authenticator
    if authenticator is not None:
        sent = authorization(request.scope["headers"])
        if authenticator.cached_identity(sent) is None:
            await authenticator.authenticate(sent)
