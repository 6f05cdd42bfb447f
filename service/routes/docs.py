"""The page of documentation."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from service.documentation.page import POLICY, page
from service.routes.dependencies import readable

router = APIRouter(tags=["server"])

_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
}


@readable(router, "/", response_class=HTMLResponse)
async def docs(request: Request) -> HTMLResponse:
    """Every route on a page, with examples. It needs no script, no internet and no token."""
    return HTMLResponse(page(request.app.openapi()), headers=_HEADERS)
