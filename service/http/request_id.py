"""The ID of a request, the ID of its trace, and the ASGI scope key of its token's identity."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar
from itertools import count

from starlette.types import Scope

REQUEST_ID = "lrtables.request_id"
"""Key of the request's ID in an ASGI scope."""
IDENTITY = "lrtables.identity"
"""Key of the identity of the request's token in an ASGI scope. It is missing if the server requires no tokens."""

current: ContextVar[Scope | None] = ContextVar("current", default=None)
"""The ASGI scope of the current request, also in the tasks and threads that work for it; None outside of requests."""

Headers = Iterable[tuple[bytes, bytes]]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(
    rb"(?:(00)|(?!00|ff)[0-9a-f]{2})"  # the version; ff is invalid
    rb"-(?!0{32})(?P<trace_id>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    rb"(?(1)|(?:-.*)?)"  # versions after 00 may append fields
)

_process = secrets.token_hex(4)
_numbers = count()


def sent_id(headers: Headers) -> bytes | None:
    """Return the X-Request-ID that the client sent; empty if there is none, None if it is invalid or sent twice."""
    sent = b""
    for name, value in headers:  # a loop, not a comprehension: it costs less, and every short response pays it
        if name == b"x-request-id":
            if sent or not _REQUEST_ID.fullmatch(value):
                return None
            sent = value
    return sent


def request_id(headers: Headers) -> str:
    """Return the X-Request-ID if it is 1 to 64 letters, digits and `._-`, else a new ID.

    A new ID is the process's random prefix and a counter: it is faster than a random number for each request.
    """
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode()
    return f"{_process}-{next(_numbers)}"


def trace_id(headers: Headers) -> str | None:
    """Return the request's trace ID, 32 hexadecimal digits; None without exactly one valid `traceparent`.

    Source: https://www.w3.org/TR/trace-context/#traceparent-header
    """
    found = [value for name, value in headers if name == b"traceparent"]
    match = _TRACEPARENT.fullmatch(found[0]) if len(found) == 1 else None
    return None if match is None else match["trace_id"].decode()
