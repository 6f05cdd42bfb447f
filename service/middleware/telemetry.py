"""Request IDs, metrics and log lines for every request."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from functools import lru_cache
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.request_id import REQUEST_ID, current, request_id
from service.http.waiting import seconds_waited
from service.observability.metrics import Metrics, Series
from service.routes.registry import Routes
from service.security.tokens import identity_of

_logger = logging.getLogger("lrtables")
_CACHED = 1024  # requests whose series need not be found again
_LONGEST = 256  # characters of such a path


class RequestRecorder:
    """Counts each request, and logs a line about it at level info, for the application and the fast path alike."""

    def __init__(self, metrics: Metrics, routes: Routes) -> None:
        self.writes_lines = _logger.isEnabledFor(logging.INFO)
        self._series = metrics.series
        self._name_of = routes.name_of
        self._cached_series = lru_cache(_CACHED)(self._series_of)

    def count(self, method: str, path: str, status: int, seconds: float, nbytes: int) -> None:
        """Count a request without logging it."""
        (self._cached_series if len(path) <= _LONGEST else self._series_of)(method, path, status).add(seconds, nbytes)

    def _series_of(self, method: str, path: str, status: int) -> Series:
        return self._series(method, self._name_of(method, path), status)

    def record(self, scope: Scope, status: int, seconds: float, nbytes: int) -> None:
        """Count a request and log it. The line's request ID and trace ID are those of the `current` request."""
        method, path = scope["method"], scope["path"]
        self.count(method, path, status, seconds, nbytes)
        if self.writes_lines:
            _log(scope, self._name_of(method, path), status, seconds, nbytes)


class Telemetry:
    """Records every request to the application. It is the outermost middleware, so that rejections are counted as well.

    Each response gets the request's ID as X-Request-ID.
    """

    def __init__(self, app: ASGIApp, recorder: RequestRecorder) -> None:
        self._app = app
        self._record = recorder.record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, as an ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        current.set(scope)  # never reset: each request is a task with its own context
        scope[REQUEST_ID] = own_id = request_id(scope["headers"])
        status = 500  # which uvicorn sends if the application sends nothing
        nbytes = 0

        def counted(message: Message) -> Awaitable[None]:
            nonlocal status, nbytes
            if "status" in message:
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", own_id.encode())]
            else:
                nbytes += len(message.get("body", b""))
            return send(message)  # not awaited here: a coroutine would cost time for every piece of a body

        try:
            await self._app(scope, receive, counted)
        finally:
            seconds = max(0.0, perf_counter() - began - seconds_waited(scope))
            if scope["method"] == "HEAD":
                nbytes = 0  # uvicorn sends no body
            self._record(scope, status, seconds, nbytes)


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
        **({"waited": round(waited, 3)} if (waited := seconds_waited(scope)) else {}),
        "client": (scope["client"] or ("",))[0],
        "token_id": identity_of(scope).token_id,
    }
    _logger.info("%(method)s %(path)s %(status)d, %(bytes)d bytes in %(seconds)g s", fields, extra={"fields": fields})
