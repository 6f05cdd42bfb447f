"""The fast path: short responses from the memory cache, sent without an ASGI scope and a task."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from starlette.types import Scope

from service.http.request_id import IDENTITY, REQUEST_ID, current, request_id, sent_id
from service.http.responses import Fields
from service.middleware.authentication import AuthenticationMiddleware
from service.middleware.cached_responses import CachedResponses
from service.middleware.cross_origin import CrossOrigin
from service.middleware.telemetry import RequestRecorder
from service.security.tokens import Identity

FastResponse = Callable[[str, Fields, str], tuple[bytes, bytes] | None]
"""Returns the complete response to a GET of this path with these headers, from this client address; see `FastPath`.

Returns None if the application must handle the request. It always does if a body follows, which may be malformed. The
function must not block.
"""


class FastPath:
    """Returns short responses from the memory cache to connections: a short table, a manifest, any 304.

    It uses the same cache, authentication and recording as the application. The responses differ only in the order of
    the headers, and have an X-Request-ID only if the request has one or is logged. All other requests are left to the
    application.
    """

    def __init__(
        self,
        cached: CachedResponses,
        recorder: RequestRecorder,
        authentication: AuthenticationMiddleware | None,
        cross_origin: CrossOrigin | None = None,
    ) -> None:
        self._find = cached.find
        self._counters = cached.counters
        self._authentication = authentication
        self._cross_origin = cross_origin
        self._recorder = recorder
        self._count = recorder.count
        self._writes_lines = recorder.writes_lines

    def try_fast_response(self, path: str, headers: Fields, client: str) -> tuple[bytes, bytes] | None:
        """Return head and body of the response to a GET, as `BufferResponse.short` does. It is recorded as sent."""
        began = perf_counter()
        response = self._find(path, headers)
        if response is None:
            return None
        status = response.short_status(headers)
        if status is None or (own_id := sent_id(headers)) is None:
            return None
        identity = None
        if self._authentication is not None:
            identity = self._authentication.admit_cached("GET", path, headers)
            if identity is None:
                return None
        if self._writes_lines:
            own_id = own_id or request_id(headers).encode()
        sent = response.short(status, private=identity is not None, request_id=own_id)
        if self._cross_origin is not None:
            sent = sent[0] + self._cross_origin.lines(headers), sent[1]
        self._counters.memory_hits += 1
        if self._writes_lines:
            self._record(_scope(path, headers, client, identity, own_id), status, began, len(sent[1]))
        else:
            self._count("GET", path, status, perf_counter() - began, len(sent[1]))
        return sent

    def _record(self, scope: Scope, status: int, began: float, nbytes: int) -> None:
        """Count the request, and log it with its request ID and trace ID."""
        before = current.set(scope)
        try:
            self._recorder.record(scope, status, perf_counter() - began, nbytes)
        finally:
            current.reset(before)


def _scope(path: str, headers: Fields, client: str, identity: Identity | None, own_id: bytes) -> Scope:
    """Return the parts of an ASGI scope that the log needs."""
    scope: Scope = {
        "method": "GET",
        "path": path,
        "raw_path": path.encode("latin-1"),
        "headers": headers,
        "client": (client, 0),
        REQUEST_ID: own_id.decode(),
    }
    return scope if identity is None else {**scope, IDENTITY: identity}
