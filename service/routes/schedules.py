"""The catalogue of schedules."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from scheduler import KINDS
from service.documentation.catalogue import Catalogue, Entry, catalogue, entry
from service.errors import FieldError, KindNotFoundError, abbreviate
from service.routes.dependencies import ServerDep, problems, readable

router = APIRouter(prefix="/v1/schedules", tags=["schedules"])


@readable(router, "", response_model=Catalogue)
async def schedules() -> Any:
    """Every kind of schedule, in one line each."""
    return catalogue()


@readable(router, "/{kind}", response_model=Entry, responses=problems(404, 503))
async def schedule(kind: str, server: ServerDep) -> Any:
    """A kind of schedule: what it does, its parameters and their JSON schema."""
    if kind not in KINDS:
        detail = f"there is no schedule of kind {abbreviate(kind)!r}; /v1/schedules lists them"
        raise KindNotFoundError(detail, [FieldError(detail, parameter="kind", value=kind)])
    return await server.executors.serialize(entry, kind)
