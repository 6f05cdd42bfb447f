"""What every worker asks for, answered before FastAPI is asked."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service import problems
from service.answer import Immutable, header
from service.formats import BY_MEDIA_TYPE, MEDIA_TYPES
from service.negotiation import preferred
from service.routes.parts import Server
from service.routes.tables import make_table

_TABLES = "/v1/tables"
_DIGEST = slice(len(_TABLES) + 1, len(_TABLES) + 65)


class Front:
    """The application, with a short way to a table by its spec, and to what is in memory by its digest.

    The short way answers exactly as the routes would; whatever it does not know goes to them.
    """

    def __init__(self, app: ASGIApp, server: Server) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["method"] == "POST" and scope["path"] == _TABLES:
            await self._make(scope, receive, send)
        else:
            await (self._ready(scope) or self._app)(scope, receive, send)

    async def _make(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await make_table(request, self._server)
        except Exception as error:
            response = await problems.answer(request, error)
        await response(scope, receive, send)

    def _ready(self, scope: Scope) -> Immutable | None:
        path: str = scope["path"]
        if scope["method"] not in ("GET", "HEAD") or not path.startswith(_TABLES + "/"):
            return None
        if (ready := self._server.tables.warm(path[_DIGEST])) is None:
            return None
        rest = path[_DIGEST.stop :]
        if rest:
            return ready.paths.get(rest)
        chosen = preferred(header(scope, b"accept").decode("latin-1"), MEDIA_TYPES)
        return None if chosen is None else ready.answer(BY_MEDIA_TYPE[chosen], varies=True)
