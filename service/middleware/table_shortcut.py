"""A shortcut around FastAPI for the requests that every training process sends."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import LimitExceededError, QueryTooLongError, ServiceError
from service.http import problems
from service.http.responses import BufferResponse
from service.middleware.cached_responses import CachedResponses
from service.representations.paths import TABLES
from service.routes.tables import make_table
from service.settings import Settings
from service.state import ServerState

_READS = ("GET", "HEAD")


class TableShortcut:
    """Handles POSTs of specs, and GETs of tables in the memory cache, without FastAPI.

    The responses are exactly those of the routes, which handle all other requests. A query that is too long, or has too
    many parameters, is rejected before anything parses it.
    """

    def __init__(self, app: ASGIApp, server: ServerState, cached: CachedResponses) -> None:
        self._app = app
        self._server = server
        self._cached = cached

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, as an ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif (response := self._find(scope)) is not None:
            self._cached.counters.memory_hits += 1
            await response(scope, receive, send)
        elif scope["query_string"] and (error := _refused(scope["query_string"], self._server.settings)) is not None:
            await (await problems.problem_response(Request(scope), error))(scope, receive, send)
        elif scope["method"] == "POST" and scope["path"] == TABLES:
            await self._make(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _make(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the route's function without FastAPI, which takes longer than the rest of the request.

        A POST of a cached spec takes 14 us this way and 56 us through FastAPI: 1.8 times the bare validation of the
        spec, and 7.1 times. The goal is at most 3 (`benchmarks/http_speed.py --only known`, on 2 cores of x86-64).
        """
        request = Request(scope, receive)
        try:
            response = await make_table(request, self._server)
        except Exception as error:
            response = await problems.problem_response(request, error)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> BufferResponse | None:
        return self._cached.find(scope["path"], scope["headers"]) if scope["method"] in _READS else None


def _refused(query: bytes, settings: Settings) -> ServiceError | None:
    """Return an error for a query that is too long or has too many parameters; None if it is valid."""
    if len(query) > settings.max_query_bytes:
        limit = settings.max_query_bytes
        return QueryTooLongError(f"the query must be at most {limit} bytes (max_query_bytes), got {len(query)}")
    if (number := query.count(b"&") + 1) > settings.max_parameters:
        limit = settings.max_parameters
        return LimitExceededError(f"a query must have at most {limit} parameters (max_parameters), got {number}")
    return None
