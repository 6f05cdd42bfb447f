"""Errors as responses: every error becomes `application/problem+json` (RFC 9457), whatever raised it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from scheduler import TableError
from scheduler.messages.errors import rule
from service.errors import (
    MOST_ERRORS,
    BusyError,
    DatabaseError,
    FieldError,
    ForbiddenError,
    ServiceError,
    StorageError,
    UnauthenticatedError,
    abbreviate,
)
from service.http.error_status import ErrorStatus, error_status
from service.http.request_id import REQUEST_ID, request_id

_logger = logging.getLogger("lrtables")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_RETRY_AFTER = 1  # seconds
_NONE: Mapping[str, Any] = MappingProxyType({})
MEDIA_TYPE = "application/problem+json"
"""The media type of every error's body."""
REALM = 'Bearer realm="lrtables"'
"""How every `WWW-Authenticate` header starts."""


class Problem(BaseModel):
    """The body of every error (RFC 9457)."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    type: str = "about:blank"
    title: str = Field(description="reason phrase of the status")
    status: int
    code: str = Field(description="machine-readable cause; a code never changes its meaning")
    detail: str = Field(description="human-readable explanation")
    errors: list[dict[str, Any]] = Field(
        default_factory=list,
        description="the invalid values, each with a JSON pointer into the body or a parameter's name, a detail and "
        "the value",
    )
    request_id: str = Field(description="the request's X-Request-ID, or a generated one; the server's log has it too")
    retryable: bool = Field(description="whether the same request may succeed later")


def install(app: FastAPI) -> None:
    """Make the application send every error as a problem document."""
    for error in (
        ServiceError,
        StorageError,
        TableError,
        RequestValidationError,
        ClientDisconnect,
        HTTPException,
        Exception,
    ):
        app.add_exception_handler(error, problem_response)


async def problem_response(request: Request, error: Exception) -> Response:
    """Return an exception as a problem document, and log it if the server is to blame."""
    if isinstance(error, HTTPException):
        found = ErrorStatus(error.status_code, _phrase(error.status_code).lower().replace(" ", "-"))
        return _problem(request, found, _explain(request, error), (), _headers(request, error))
    found = error_status(error)
    _report(request, found, error)
    if isinstance(error, RequestValidationError):
        errors = [_parameter_error(item) for item in error.errors()]
        return _problem(request, found, "; ".join(item.detail for item in errors), errors)
    later = _later(error, found)
    if isinstance(error, ServiceError):
        return _problem(request, found, str(error), error.errors, later, error.members)
    if isinstance(error, DatabaseError):  # its text names hosts and ports, which are for the log
        return _problem(request, found, "the database failed; see the server's log for this request_id", (), later)
    if isinstance(error, StorageError):
        return _problem(request, found, f"the store failed: {error}", (), later)
    if isinstance(error, TableError):
        return _problem(request, found, str(error), (), later)
    return _problem(request, found, "internal error; see the server's log for this request_id", ())


def _later(error: Exception, found: ErrorStatus) -> Mapping[str, str] | None:
    """Return a Retry-After header if a retry may succeed, or what is wrong with the token."""
    if isinstance(error, UnauthenticatedError):
        return {"www-authenticate": f'{REALM}, error="invalid_token"'}
    if isinstance(error, ForbiddenError):
        return {"www-authenticate": f'{REALM}, error="insufficient_scope", scope="{error.scope}"'}
    if not found.retryable:
        return None
    return {"retry-after": str(error.retry_after if isinstance(error, BusyError) else _RETRY_AFTER)}


def _report(request: Request, found: ErrorStatus, error: Exception) -> None:
    """Log a 5xx error: with its traceback, unless a retry may succeed."""
    if found.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        level = logging.INFO if isinstance(error, BusyError) else logging.ERROR
        values = (_request_id(request), request.method, request.url.path, error)
        _logger.log(level, "request %s: %s %s: %s", *values, exc_info=None if found.retryable else error)


def _problem(
    request: Request,
    found: ErrorStatus,
    detail: str,
    errors: Sequence[FieldError],
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] = _NONE,
) -> Response:
    problem = Problem(
        title=_phrase(found.status),
        status=found.status,
        code=found.code,
        detail=detail,
        errors=[error.to_dict() for error in errors[:MOST_ERRORS]],
        request_id=_request_id(request),
        retryable=found.retryable,
    )
    always = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    text = json.dumps({**members, **problem.model_dump()}, ensure_ascii=False)
    body = text.encode(errors="replace")  # a lone surrogate must not hide the error
    return Response(body, found.status, {**always, **(headers or {})}, MEDIA_TYPE)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _explain(request: Request, error: HTTPException) -> str:
    path = abbreviate(request.url.path)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"no route for {path}"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{path} does not support {abbreviate(request.method)}"
    return str(error.detail)


def _headers(request: Request, error: HTTPException) -> Mapping[str, str] | None:
    """Return the error's headers. Each method has its own route here, so Allow is collected from all routes."""
    if error.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
        return error.headers
    routes = request.app.router.routes
    matches = {
        method: [route.matches({**request.scope, "method": method})[0] for route in routes] for method in _METHODS
    }
    return {"allow": ", ".join(method for method in _METHODS if Match.FULL in matches[method])}


def _parameter_error(error: dict[str, Any]) -> FieldError:
    """Return FastAPI's error about a path, query or header parameter as one of ours."""
    name = abbreviate(".".join(str(part) for part in error["loc"][1:]))
    value = abbreviate(error["input"])
    details = {"missing": f"{name} is missing", "extra_forbidden": f"{name} is not a parameter of this route"}
    detail = details.get(error["type"], f"{name}: {rule(error)}, got {value!r}")
    return FieldError(detail, parameter=name, value=error["input"])


def _request_id(request: Request) -> str:
    found: str | None = request.scope.get(REQUEST_ID)
    return request_id(request.scope["headers"]) if found is None else found
