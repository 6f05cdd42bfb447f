"""The catalogue of schedules."""

from __future__ import annotations

from typing import Any

from scheduler import KINDS
from scheduler.messages.errors import near_kinds
from scheduler.names.lookup import in_any_case
from service.documentation.catalogue import Catalogue, Entry, catalogue, entry
from service.documentation.examples import Example
from service.errors import FieldError, KindNotFoundError, abbreviate
from service.representations.paths import TABLES
from service.routes.declaration import Resource
from service.routes.dependencies import ServerDep

_SCHEDULES = "/v1/schedules"

resource = Resource("schedules", _SCHEDULES)


def _links(kind: str) -> dict[str, str]:
    return {"self": f"{_SCHEDULES}/{kind}", "tables": TABLES}


@resource.declare("GET", "", scope="read", example=Example(), response_model=Catalogue)
async def schedules() -> Any:
    """Every kind of schedule, in one line each."""
    return catalogue(_links)


@resource.declare(
    "GET",
    "/{kind}",
    scope="read",
    example=Example({"kind": "custom.LinearWarmup"}),
    errors=(404, 503),
    response_model=Entry,
)
async def schedule(kind: str, server: ServerDep) -> Any:
    """A kind of schedule, named in any case: what it does, its parameters and their JSON schema."""
    found = in_any_case(kind, KINDS)
    if found is None:
        near = " or ".join(near_kinds(kind, KINDS))
        advice = f"did you mean {near}?" if near else f"{_SCHEDULES} lists them"
        detail = f"there is no schedule of kind {abbreviate(kind)!r}: {advice}"
        raise KindNotFoundError(detail, [FieldError(detail, parameter="kind", value=kind)])
    return await server.executors.serialize(entry, found, _links)
