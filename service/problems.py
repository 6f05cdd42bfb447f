"""Errors as answers: `application/problem+json` (RFC 9457) for every one, whoever raised it."""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from service.errors import FieldError, Meaning, ServiceError, meaning, shown
from service.storage.store import StorageError

_logger = logging.getLogger("lrtables")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MOST_ERRORS = 20  # a list of a thousand bad schedules must not be answered with a thousand errors
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_RETRY_AFTER = "1"  # seconds


class Problem(BaseModel):
    """The body of every error (RFC 9457)."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    type: str = "about:blank"
    title: str = Field(description="the status in words")
    status: int
    code: str = Field(description="what happened, for programs: never changes")
    detail: str = Field(description="what happened, for people")
    errors: list[dict[str, Any]] = Field(
        default_factory=list,
        description="the bad values: a JSON pointer into the body or the name of a parameter, detail, value",
    )
    request_id: str = Field(description="the request's X-Request-ID, or one made up for the log")
    retryable: bool = Field(description="whether the same request may succeed later")


def install(app: FastAPI) -> None:
    """Make the application answer every error as a problem."""
    for error in (ServiceError, StorageError, RequestValidationError, ClientDisconnect, HTTPException, Exception):
        app.add_exception_handler(error, answer)


async def answer(request: Request, error: Exception) -> Response:
    """The problem that an exception means."""
    if isinstance(error, HTTPException):
        found = Meaning(error.status_code, _phrase(error.status_code).lower().replace(" ", "-"))
        return _problem(request, found, _explain(request, error), (), _headers(request, error))
    found = meaning(error)
    if found.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _logger.error("request %s: %s %s", _request_id(request), request.method, request.url.path, exc_info=error)
    if isinstance(error, RequestValidationError):
        errors = [_parameter_error(item) for item in error.errors()]
        return _problem(request, found, "; ".join(item.detail for item in errors), errors)
    if isinstance(error, ServiceError):
        return _problem(request, found, str(error), error.errors)
    if isinstance(error, StorageError):
        return _problem(request, found, f"the store failed: {error}", (), {"retry-after": _RETRY_AFTER})
    return _problem(request, found, "an error of the server, which is in its log under the request_id", ())


def _problem(
    request: Request,
    found: Meaning,
    detail: str,
    errors: Sequence[FieldError],
    headers: Mapping[str, str] | None = None,
) -> Response:
    problem = Problem(
        title=_phrase(found.status),
        status=found.status,
        code=found.code,
        detail=detail,
        errors=[error.to_dict() for error in errors[:_MOST_ERRORS]],
        request_id=_request_id(request),
        retryable=found.retryable,
    )
    always = {"cache-control": "no-store", "x-content-type-options": "nosniff", "x-request-id": problem.request_id}
    body = json.dumps(problem.model_dump(), ensure_ascii=False).encode()
    return Response(body, found.status, {**always, **(headers or {})}, "application/problem+json")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _explain(request: Request, error: HTTPException) -> str:
    path = shown(request.url.path)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"there is nothing at {path}"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{path} does not take {shown(request.method)}"
    return str(error.detail)


def _headers(request: Request, error: HTTPException) -> Mapping[str, str] | None:
    """The error's headers; each method has a route of its own here, so Allow is gathered from all of them."""
    if error.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
        return error.headers
    routes = request.app.router.routes
    matches = {
        method: [route.matches({**request.scope, "method": method})[0] for route in routes] for method in _METHODS
    }
    return {"allow": ", ".join(method for method in _METHODS if Match.FULL in matches[method])}


def _parameter_error(error: dict[str, Any]) -> FieldError:
    """FastAPI's error of a path, query or header parameter."""
    name = ".".join(str(part) for part in error["loc"][1:])
    value = shown(error["input"])
    said = error["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    known = {"missing": f"{name} is missing", "extra_forbidden": f"{name} is not a parameter of this route"}
    return FieldError(known.get(error["type"], f"{name}: {said}, got {value!r}"), parameter=name, value=error["input"])


def _request_id(request: Request) -> str:
    """The caller's id for the request where it is a plain one, else an id made up once per request."""
    given = request.headers.get("x-request-id", "")
    if _REQUEST_ID.fullmatch(given):
        return given
    made: str = request.scope.setdefault("lrtables.request_id", secrets.token_hex(8))
    return made
