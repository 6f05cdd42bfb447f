"""Why the server ends a connection, what it says then, and when it can still say it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from types import MappingProxyType

from service.http.error_status import ErrorStatus
from service.http.problems import Problem
from service.server.deadlines import Wait

_LATE = ErrorStatus(408, "request-timeout", retryable=True)
_RETRY_AFTER = 1  # seconds
STATUSES: Mapping[str, ErrorStatus] = MappingProxyType(
    {
        "malformed": ErrorStatus(400, "malformed-http"),
        "host": ErrorStatus(421, "misdirected-request"),
        Wait.HEADERS: _LATE,
        Wait.BODY: _LATE,
        "long-headers": ErrorStatus(431, "headers-too-large"),
        "connections": ErrorStatus(503, "too-many-connections", retryable=True),
    }
)
"""The response by the reason for which a connection is ended. For any other reason it is ended without one."""


class RefusedRequest(Enum):
    """Where the request that is refused stands among those of its connection."""

    LAST = "the others came before it: its headers or its body have not all come, or there is none"
    QUEUED = "its headers have come, its body has not, and it waits behind others"
    RUNNING = "its headers have come, its body has not, and it is being answered, or was"


class RefusalStep(Enum):
    """What a connection does, whose client is not listened to any more."""

    EXPLAIN = "send the refusal"
    EXPLAIN_LATER = "send it behind the response that is under way"
    EXPLAIN_INSTEAD = "send it in place of the response, and tell the application that its client has left"
    FINISH = "send what is left of the response, and nothing after it"
    END = "send nothing more: all has been answered"


def refusal_step(refused: RefusedRequest, *, response_started: bool, response_complete: bool) -> RefusalStep:
    """How to refuse, given the response of the running request, or of the last one that ran.

    What was wrong with a request that is being answered, or was, is not said: its response is the last one.
    """
    if refused is not RefusedRequest.RUNNING:
        return RefusalStep.EXPLAIN if response_complete else RefusalStep.EXPLAIN_LATER
    if response_complete:
        return RefusalStep.END
    return RefusalStep.FINISH if response_started else RefusalStep.EXPLAIN_INSTEAD


def refusal(status: ErrorStatus, detail: str, common_headers: bytes) -> bytes:
    """A response that says why its connection ends; `common_headers` are the lines that every response has."""
    problem = Problem(
        title=HTTPStatus(status.status).phrase,
        status=status.status,
        code=status.code,
        detail=detail,
        request_id=secrets.token_hex(8),
        retryable=status.retryable,
    )
    body = problem.model_dump_json().encode()
    fields = {
        "content-type": "application/problem+json",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "x-request-id": problem.request_id,
        **({"retry-after": str(_RETRY_AFTER)} if status.status == HTTPStatus.SERVICE_UNAVAILABLE else {}),
        "connection": "close",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {problem.status} {problem.title}\r\n".encode() + common_headers + lines.encode() + b"\r\n" + body
