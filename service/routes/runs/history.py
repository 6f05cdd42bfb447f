"""The versions of runs, which never change."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, TypeVar

from fastapi import Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from service.documentation.examples import Example
from service.errors import MOST_INTEGER
from service.http.responses import BufferResponse, StarletteResponse
from service.representations.paths import RUNS
from service.representations.runs import RunVersion, RunVersions, etag
from service.routes.declaration import Resource
from service.routes.dependencies import ServerDep
from service.routes.runs.parts import CACHING, NAMED, NAMESPACE, RUN, NameDep, document_response

resource = Resource("runs", RUNS)

R = TypeVar("R")

VersionNumber = Annotated[int, Path(ge=1, le=MOST_INTEGER, description="1, 2, ...")]


class PageQuery(BaseModel):
    """A page of versions."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(0, ge=0, le=MOST_INTEGER, description="the last version of the page before")
    limit: int = Field(100, ge=1, le=1000, description="most versions of this page")

    def page_of(self, rows: Sequence[R]) -> tuple[Sequence[R], R | None]:
        """Return the rows of the page, of `limit + 1` that were asked for, and its last one if others follow."""
        page = rows[: self.limit]
        return page, page[-1] if len(rows) > len(page) else None


@resource.declare(
    "GET",
    f"{RUN}/versions",
    scope="read",
    namespace=NAMESPACE,
    example=Example(NAMED),
    errors=(404, 422, 503),
    response_model=RunVersions,
)
async def list_versions(name: NameDep, query: Annotated[PageQuery, Query()], server: ServerDep) -> Response:
    """The versions of a run, the oldest first, in pages; those of a deleted run too."""
    rows = await server.runs.versions(name, after=query.after, limit=query.limit + 1)
    page, last = query.page_of(rows)
    versions = [RunVersion.of_version(row) for row in page]
    found = RunVersions(versions=versions, next=None if last is None else last.version)
    return document_response(found, 200, CACHING)


@resource.declare(
    "GET",
    f"{RUN}/versions/{{version}}",
    scope="read",
    namespace=NAMESPACE,
    example=Example({**NAMED, "version": "1"}),
    errors=(404, 422, 503),
    response_model=RunVersion,
)
async def get_version(name: NameDep, version: VersionNumber, server: ServerDep) -> Response:
    """One version of a run. It never changes, so caches may keep it for ever."""
    row = await server.runs.version(name, version)
    body = RunVersion.of_version(row).model_dump_json().encode()
    response = BufferResponse(b"application/json", etag(version).encode(), [body], sha256=sha256(body).digest())
    return StarletteResponse(response)
