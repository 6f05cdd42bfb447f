"""The list of runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response

from service.documentation.examples import Example
from service.representations.paths import RUNS
from service.representations.runs import Run, RunList, RunsQuery
from service.routes.declaration import Resource
from service.routes.dependencies import ServerDep
from service.routes.runs.parts import CACHING, document_response
from service.security.tokens import identity_of

resource = Resource("runs", RUNS)


@resource.declare(
    "GET", "", scope="read", example=Example({"prefix": "team-a/"}), errors=(422, 503), response_model=RunList
)
async def list_runs(query: Annotated[RunsQuery, Query()], request: Request, server: ServerDep) -> Response:
    """The runs that the token's namespaces cover, in pages; without those that were deleted.

    Ordered by name, or with `newest` by the time of their creation, the newest first. All conditions must hold.
    """
    wanted = query.wanted(identity_of(request.scope).namespaces)
    heads, after = await server.runs.page(wanted, query.cursor(), query.limit)
    found = RunList(runs=[Run.of(head) for head in heads], next=query.text_of(after))
    return document_response(found, 200, CACHING)
