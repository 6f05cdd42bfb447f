"""The documentation: a page for people, and the OpenAPI document for programs."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse

from service.documentation.examples import Example
from service.documentation.page import POLICY, page
from service.routes.declaration import Access, Resource

resource = Resource("server")

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
    return HTMLResponse(page(request.app.openapi()), headers=_HEADERS)


@resource.declare("GET", "/v1/openapi.json", scope=Access.OPEN, include_in_schema=False)
async def openapi(request: Request) -> JSONResponse:
    """The OpenAPI document."""
    return JSONResponse(request.app.openapi())
