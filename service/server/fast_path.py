"""Short responses out of memory, given before a request becomes a task and an ASGI scope."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from starlette.types import Scope

from service.http.request_id import IDENTITY, REQUEST_ID, current, request_id, sent_id
from service.http.responses import Fields
from service.middleware.authentication import AuthenticationMiddleware
from service.middleware.cached_responses import CachedResponses
from service.middleware.telemetry import RequestRecorder
from service.security.tokens import Identity

FastResponse = Callable[[str, Fields, str], tuple[bytes, bytes] | None]
"""A whole response to a GET of this path with these headers, from this client address; see `FastPath`.

None where the application is to be asked, as it is where a body follows, which may prove to be no HTTP. It must not
block, and not wait.
"""


class FastPath:
    """Gives connections the responses that are in memory and short: a short table, a manifest, any 304.

    They are found where `TableShortcut` finds them, and admitted and recorded as the application does it. They are its
    responses, but for the order of the headers, and the X-Request-ID: that is there where the request has one, or the
    log has a line about it. Whatever is not as plain as that is left to the application.
    """

    def __init__(
        self, cached: CachedResponses, recorder: RequestRecorder, authentication: AuthenticationMiddleware | None
    ) -> None:
        self._find = cached.find
        self._counters = cached.counters
        self._authentication = authentication
        self._recorder = recorder
        self._count = recorder.count
        self._writes_lines = recorder.writes_lines

    def try_fast_response(self, path: str, headers: Fields, client: str) -> tuple[bytes, bytes] | None:
        """The head of a whole response to a GET, as `BufferResponse.short` has it, and its body. It counts as sent."""
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
        self._counters.memory_hits += 1
        if self._writes_lines:
            self._record(_scope(path, headers, client, identity, own_id), status, began, len(sent[1]))
        else:
            self._count("GET", path, status, perf_counter() - began, len(sent[1]))
        return sent

    def _record(self, scope: Scope, status: int, began: float, nbytes: int) -> None:
        """Count the request, and write its line in the log, with its id and its trace."""
        before = current.set(scope)
        try:
            self._recorder.record(scope, status, perf_counter() - began, nbytes)
        finally:
            current.reset(before)


def _scope(path: str, headers: Fields, client: str, identity: Identity | None, own_id: bytes) -> Scope:
    """What an ASGI scope would say of the request, as far as the log wants to know."""
    scope: Scope = {
        "method": "GET",
        "path": path,
        "raw_path": path.encode("latin-1"),
        "headers": headers,
        "client": (client, 0),
        REQUEST_ID: own_id.decode(),
    }
    return scope if identity is None else {**scope, IDENTITY: identity}
