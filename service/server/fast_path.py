"""What lies in memory, for those who just want it: answered before anything else is asked."""

from __future__ import annotations

from time import perf_counter

from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.request_id import sent_id
from service.http.responses import BufferResponse, Fields
from service.representations.paths import AFTER_DIGEST, DIGEST, TABLE
from service.routes.registry import Routes
from service.security.authenticator import Authenticator, authorization
from service.state import ServerState
from service.storage.store import Part


class FastPath:
    """The application, and in front of it the shortest way to a table in memory: its bytes, its manifest, its 304.

    The answer is the one that the application would give, but that it has an X-Request-ID only where the request has:
    it cannot fail, so there is nothing to trace. Requests are counted as there. A known token that may read
    and has no rates is let through here; everything that is not as plain as that goes on to the application.

    What is short need not even become an ASGI request: connections ask for it with `try_fast_response`.
    """

    def __init__(self, app: ASGIApp, server: ServerState, authenticator: Authenticator | None, routes: Routes) -> None:
        self._app = app
        self._routes = routes
        self._get = server.tables.cache.get
        self._counters = server.tables.counters
        self._observe = server.metrics.observe
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        found = self._find(scope["path"], scope["headers"]) if _is_get(scope) else None
        if found is None:
            await self._app(scope, receive, send)
            return
        answer, status, own_id = found
        began = perf_counter()
        self._counters.memory_hits += 1
        await answer.send_plain(send, status, private=self._authenticator is not None, request_id=own_id)
        self._count(scope["path"], answer, status, began)

    def try_fast_response(self, path: str, headers: Fields) -> tuple[bytes, Part] | None:
        """A whole answer to GET, where it is short: as `BufferResponse.short` has it. It counts as sent."""
        began = perf_counter()
        found = self._find(path, headers)
        if found is None:
            return None
        answer, status, own_id = found
        sent = answer.short(status, private=self._authenticator is not None, request_id=own_id)
        if sent is not None:
            self._counters.memory_hits += 1
            self._count(path, answer, status, began)
        return sent

    def _find(self, path: str, headers: Fields) -> tuple[BufferResponse, int, bytes] | None:
        """The answer to a plain GET that is let through, its status, and the request's id where it has one."""
        ready = self._get(path[DIGEST])
        if ready is None or not path.startswith(TABLE):
            return None
        answer = ready.rendered.paths.get(path[AFTER_DIGEST])
        if not isinstance(answer, BufferResponse):
            return None
        status, own_id = answer.plain_status(headers), sent_id(headers)
        if status is None or own_id is None or not self._admits(headers):
            return None
        return answer, status, own_id

    def _count(self, path: str, answer: BufferResponse, status: int, began: float) -> None:
        nbytes = answer.length or 0 if status == 200 else 0
        self._observe("GET", self._routes.name_of("GET", path), status, perf_counter() - began, nbytes)

    def _admits(self, headers: Fields) -> bool:
        if self._authenticator is None:
            return True
        identity = self._authenticator.recall(authorization(headers))
        return identity is not None and not identity.limits.has_rates and identity.allows("read")


def _is_get(scope: Scope) -> bool:
    return bool(scope["type"] == "http" and scope["method"] == "GET")
