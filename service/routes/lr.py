"""Learning rates of a schedule at some steps, for a shell."""

from __future__ import annotations

import json
from collections.abc import Mapping

from fastapi import Request, Response

from scheduler import KINDS
from service.documentation.examples import Example
from service.errors import NotAcceptableError
from service.http.conditional import preferred
from service.http.disconnect import cancel_on_disconnect
from service.http.responses import BufferResponse, StarletteResponse, header
from service.representations.values import TableValues, ValuesQuery, select
from service.routes.declaration import Resource
from service.routes.dependencies import ServerDep, obtain
from service.routes.query import KIND, STEPS, read_query
from service.security.tokens import identity_of
from service.tables.readable import ReadableTable

resource = Resource("schedules")

_JSON, _TEXT = "application/json", "text/plain"
_CONTENT_TYPES: Mapping[str, bytes] = {_JSON: b"application/json", _TEXT: b"text/plain; charset=utf-8"}
_SCHEDULE = {"base_lr": "5e-4", "warmup_steps": "10000", "total_steps": "100000"}
_EXAMPLE = Example({KIND: "custom.WarmupWithDecay", **_SCHEDULE, STEPS: "0,500,99999"}, responses=(_JSON, _TEXT))
_PARAMETERS = [
    {
        "name": KIND,
        "in": "query",
        "required": True,
        "description": "the kind of schedule, of /v1/schedules",
        "schema": {"type": "string", "enum": list(KINDS)},
    },
    {
        "name": STEPS,
        "in": "query",
        "required": True,
        "description": "the steps, counted from 0, separated by commas",
        "schema": {"type": "string", "pattern": "^[0-9]{1,15}(,[0-9]{1,15})*$"},
    },
    {
        "name": "parameters",
        "in": "query",
        "style": "form",
        "explode": True,
        "description": "the kind's own parameters by name; each value is JSON, and a list may also be `30,60`",
        "schema": {"type": "object", "additionalProperties": {"type": "string"}},
        "example": _SCHEDULE,
    },
]


@resource.declare(
    "GET",
    "/v1/lr",
    scope="compute",
    example=_EXAMPLE,
    errors=(406, 422, 503),
    response_model=TableValues,
    responses={200: {"content": {_TEXT: {"schema": {"type": "string"}}}}},
    openapi_extra={"parameters": _PARAMETERS},
)
async def rates(request: Request, server: ServerDep) -> Response:
    """The learning rates of a schedule at some steps, bit for bit as in its table.

    With `Accept: text/plain` the response has only the learning rates, one number per line.
    """
    chosen = preferred(header(request.scope, b"accept").decode("latin-1"), (_JSON, _TEXT))
    if chosen is None:
        raise NotAcceptableError(f"rates are served as {_JSON} or {_TEXT}")
    query = request.query_params.multi_items()
    question = await read_query(query, server.specs, server.settings, request.receive)
    identity_of(request.scope).check_spec(question.spec)
    ready, _ = await obtain(question.spec, request, server)
    with ready.pin():
        work = server.executors.serialize(_response, ready.table, question.steps, chosen, server.settings.max_points)
        return StarletteResponse(await cancel_on_disconnect(request.receive, work))


def _response(table: ReadableTable, steps: str, media_type: str, max_points: int) -> BufferResponse:
    body = select(table, ValuesQuery(steps=steps), max_points)
    if media_type == _TEXT:
        body = "".join(f"{rate!r}\n" for rate in json.loads(body)["columns"]["lr"]["values"]).encode()
    return BufferResponse.made(_CONTENT_TYPES[media_type], body, varies=True)
