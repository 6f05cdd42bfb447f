"""What lies in memory, for those who just want it: answered before anything else is asked."""

from __future__ import annotations

from time import perf_counter

from starlette.types import ASGIApp, Receive, Scope, Send

from service.addresses import AFTER_DIGEST, DIGEST, TABLE
from service.answer import InMemory
from service.auth import Authenticator
from service.guard import authorization
from service.routes.parts import Server


class Warm:
    """The application, and in front of it the shortest way to a table in memory: its bytes, its manifest, its 304.

    The answer is the one that the application would give, but for X-Request-ID: it cannot fail, so there is nothing to
    trace; who sends one gets it back, from the application. Requests are counted as there. A known token that may read
    and has no rates is let through here; everything that is not as plain as that goes on to the application.
    """

    def __init__(self, app: ASGIApp, server: Server, authenticator: Authenticator | None) -> None:
        self._app = app
        self._get = server.tables.cache.get
        self._counters = server.tables.counters
        self._observe = server.metrics.observe
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        answer = self._answer(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        status = None if answer is None else answer.plain_status(scope["headers"])
        if answer is None or status is None or not self._admits(scope):
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        self._counters.memory_hits += 1
        await answer.send_plain(send, status, private=self._authenticator is not None)
        nbytes = answer.length or 0 if status == 200 else 0
        self._observe("GET", scope["path"], status, perf_counter() - began, nbytes)

    def _answer(self, scope: Scope) -> InMemory | None:
        path: str = scope["path"]
        ready = self._get(path[DIGEST])
        if ready is None or not path.startswith(TABLE):
            return None
        answer = ready.paths.get(path[AFTER_DIGEST])
        return answer if isinstance(answer, InMemory) else None

    def _admits(self, scope: Scope) -> bool:
        if self._authenticator is None:
            return True
        identity = self._authenticator.recall(authorization(scope))
        return identity is not None and not identity.limits.has_rates and identity.allows("read")
