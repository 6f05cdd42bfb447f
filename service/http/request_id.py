"""What identifies a request: its own id, the trace that its sender follows, and the key of its token's identity."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar
from itertools import count

from starlette.types import Scope

REQUEST_ID = "lrtables.request_id"
"""A scope has the request's id under this key."""
IDENTITY = "lrtables.identity"
"""A scope has the identity of the request's token under this key. Where it has none, the server asks for no tokens."""

current: ContextVar[Scope | None] = ContextVar("current", default=None)
"""The request that is being answered, also in the tasks and threads that work for it; None where nobody asked."""

Headers = Iterable[tuple[bytes, bytes]]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(
    rb"(?:(00)|(?!00|ff)[0-9a-f]{2})"  # the version; ff is none
    rb"-(?!0{32})(?P<trace_id>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    rb"(?(1)|(?:-.*)?)"  # later versions may go on
)

_process = secrets.token_hex(4)
_numbers = count()


def sent_id(headers: Headers) -> bytes | None:
    """The one X-Request-ID that was sent, as it is returned; empty where none was, None where it is not that plain."""
    sent = [value for name, value in headers if name == b"x-request-id"]
    if not sent:
        return b""
    return sent[0] if len(sent) == 1 and _REQUEST_ID.fullmatch(sent[0]) else None


def request_id(headers: Headers) -> str:
    """The X-Request-ID where it is 1 to 64 letters, digits and `._-`, else a new id.

    A new id is a random number of the process and the number of the request: to ask for randomness takes longer.
    """
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode()
    return f"{_process}-{next(_numbers)}"


def trace_id(headers: Headers) -> str | None:
    """The trace that the request belongs to, 32 hexadecimal digits; None without exactly one valid `traceparent`.

    Source: https://www.w3.org/TR/trace-context/#traceparent-header
    """
    found = [value for name, value in headers if name == b"traceparent"]
    match = _TRACEPARENT.fullmatch(found[0]) if len(found) == 1 else None
    return None if match is None else match["trace_id"].decode()
