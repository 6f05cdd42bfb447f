"""Every request with an id, a duration and a size: counted for Prometheus, and written to the log at `info`."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.request_id import REQUEST_ID, current, request_id
from service.observability.metrics import Metrics
from service.routes.registry import Routes
from service.security.tokens import identity_of

_logger = logging.getLogger("lrtables")


class Telemetry:
    """The application, observed. It stands in front of all that can fail, so that refusals are counted as well.

    Each answer gets the request's id as X-Request-ID.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: Routes) -> None:
        self._app = app
        self._routes = routes
        self._observe = metrics.observe
        self._logs = _logger.isEnabledFor(logging.INFO)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        current.set(scope)  # for good: each request is a task of its own, with a context of its own
        scope[REQUEST_ID] = own_id = request_id(scope["headers"])
        status = 500  # which is what uvicorn sends where nothing was sent
        nbytes = 0

        def counted(message: Message) -> Awaitable[None]:
            nonlocal status, nbytes
            if "status" in message:
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", own_id.encode())]
            else:
                nbytes += len(message.get("body", b""))
            return send(message)  # not awaited here: a coroutine of its own would cost every piece of a body

        try:
            await self._app(scope, receive, counted)
        finally:
            seconds = perf_counter() - began
            if scope["method"] == "HEAD":
                nbytes = 0  # for uvicorn sends no body
            route = self._routes.name_of(scope["method"], scope["path"])
            self._observe(scope["method"], route, status, seconds, nbytes)
            if self._logs:
                _log(scope, route, status, seconds, nbytes)


def _log(scope: Scope, route: str, status: int, seconds: float, nbytes: int) -> None:
    """One line per request; its path without the query, as the client wrote it: nothing in it is a line end."""
    path = scope["raw_path"].decode("latin-1")
    fields = {
        "method": scope["method"],
        "path": path,
        "route": route,
        "status": status,
        "bytes": nbytes,
        "seconds": round(seconds, 6),
        "client": (scope["client"] or ("",))[0],
        "token_id": identity_of(scope).token_id,
    }
    _logger.info("%(method)s %(path)s %(status)d, %(bytes)d bytes in %(seconds)g s", fields, extra={"fields": fields})
