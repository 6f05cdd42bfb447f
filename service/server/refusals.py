"""Error responses of connections that the server ends, and when they can still be sent."""

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
"""The error response by the reason for ending a connection. For any other reason there is no response."""


class RefusedRequest(Enum):
    """The position of the refused request among the requests of its connection."""

    LAST = "after all others: its headers or body are incomplete, or there is none"
    QUEUED = "its headers are complete, its body is not, and it waits behind others"
    RUNNING = "its headers are complete, its body is not, and its response is being sent or was sent"


class RefusalStep(Enum):
    """What a connection does after it has stopped reading."""

    EXPLAIN = "send the error response"
    EXPLAIN_LATER = "send it after the response being sent"
    EXPLAIN_INSTEAD = "send it in place of the response, and tell the application that its client has disconnected"
    FINISH = "send the rest of the response, and nothing after it"
    END = "send nothing more: all responses are complete"


def refusal_step(refused: RefusedRequest, *, response_started: bool, response_complete: bool) -> RefusalStep:
    """Return how to refuse a request, given the state of the current response, or of the last one.

    If the refused request's own response has started, it is the last one: there is no error response.
    """
    if refused is not RefusedRequest.RUNNING:
        return RefusalStep.EXPLAIN if response_complete else RefusalStep.EXPLAIN_LATER
    if response_complete:
        return RefusalStep.END
    return RefusalStep.FINISH if response_started else RefusalStep.EXPLAIN_INSTEAD


def refusal(status: ErrorStatus, detail: str, common_headers: bytes) -> bytes:
    """Return the error response of a connection that ends. `common_headers` are the lines that every response has."""
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
