"""The explorer: the page at `/`, and its files."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from service.documentation.examples import Example
from service.errors import abbreviate
from service.explorer.assets import EMBEDDED, PAGE, POLICY, assets, embedded_policy
from service.http.conditional import is_not_modified
from service.http.responses import header
from service.routes.declaration import Access, Resource
from service.routes.dependencies import ServerDep

resource = Resource("server")

_FILES = "/explorer"
_GZIP = re.compile(rb"(?:^|[,\s])gzip(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))", re.IGNORECASE)
_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
}


@resource.declare("GET", "/", scope=Access.OPEN, example=Example(responses=("text/html",)), response_class=HTMLResponse)
async def explorer(
    request: Request,
    server: ServerDep,
    embed: Annotated[str | None, Query(description="1: only the curve, for a frame in a page of embed_origins")] = None,
) -> Response:
    """The explorer: a page to search, draw, compare and share schedules. It needs no internet and no token."""
    if embed != "1":
        return await _file(PAGE, request, server)
    response = await _file(EMBEDDED, request, server)
    response.headers["content-security-policy"] = embedded_policy(server.settings.embed_origins or ())
    return response


@resource.declare("GET", _FILES + "/{path:path}", scope=Access.OPEN, include_in_schema=False)
async def explorer_file(path: str, request: Request, server: ServerDep) -> Response:
    """A file of the explorer."""
    return await _file(path, request, server)


async def _file(path: str, request: Request, server: ServerDep) -> Response:
    """The file, or 304 if the browser has it. Names stay and contents change: browsers ask each time."""
    found = (await server.executors.serialize(assets)).get(path)
    if found is None:
        raise HTTPException(404, f"the explorer has no file {abbreviate(path)!r}")
    is_short = _GZIP.search(header(request.scope, b"accept-encoding")) is not None
    body, etag = (found.compressed, found.compressed_etag) if is_short else (found.body, found.etag)
    headers = {"etag": etag, "vary": "Accept-Encoding", **_HEADERS}
    if is_not_modified(header(request.scope, b"if-none-match"), etag.encode()):
        return Response(status_code=304, headers=headers)
    encoding = {"content-encoding": "gzip"} if is_short else {}
    return Response(body, headers={"content-type": found.content_type, **encoding, **headers})
