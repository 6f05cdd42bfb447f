"""The documentation: a page for people, and the OpenAPI document for programs."""

from __future__ import annotations

import re

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse

from service.documentation.examples import Example
from service.documentation.page import POLICY, page
from service.routes.declaration import Access, Resource

resource = Resource("server")

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")

_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
}


@resource.declare(
    "GET", "/docs", scope=Access.OPEN, example=Example(responses=("text/html",)), response_class=HTMLResponse
)
async def docs(request: Request) -> HTMLResponse:
    """Every route on a page, with examples. It needs no script, no internet and no token."""
    return HTMLResponse(page(request.app.openapi(), _address(request)), headers=_HEADERS)


def _address(request: Request) -> str:
    """Return the server's address as the browser has it. A proxy with TLS says so in X-Forwarded-Proto.

    The result is for people to copy into a shell, so a Host that is more than a name and a port is replaced.
    """
    host = request.headers.get("host", "")
    scheme = "https" if request.headers.get("x-forwarded-proto") == "https" else request.url.scheme
    return f"{scheme}://{host if _HOST.fullmatch(host) else 'localhost:8000'}"


@resource.declare("GET", "/v1/openapi.json", scope=Access.OPEN, include_in_schema=False)
async def openapi(request: Request) -> JSONResponse:
    """The OpenAPI document."""
    return JSONResponse(request.app.openapi())
