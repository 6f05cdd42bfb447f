"""Runs as they are now: created, moved, read, rolled back, deleted, locked and labelled."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from service.database.runs.rows import RunEdit, RunTarget
from service.documentation.examples import Example
from service.http.conditional import is_not_modified
from service.http.disconnect import cancel_on_disconnect
from service.representations.bodies import pointing_into, spec_at
from service.representations.paths import RUNS
from service.representations.runs import (
    DeleteRequest,
    RollbackRequest,
    Run,
    RunNow,
    RunRequest,
    RunSettings,
    etag,
    expected_version,
    precondition,
)
from service.routes.declaration import Resource
from service.routes.dependencies import ServerDep
from service.routes.runs.parts import (
    CACHING,
    NAMED,
    NAMESPACE,
    RUN,
    NameDep,
    author_of,
    document_response,
    field,
    json_body,
    optional_body,
    parsed,
    precondition_headers,
    read_sized,
    reported_conflicts,
    run_response,
)
from service.runs.rules import Rules
from service.security.tokens import identity_of
from service.state import ServerState

resource = Resource("runs", RUNS)

_SCHEDULE = {"kind": "custom.LinearWarmup", "base_lr": 0.001, "warmup_steps": 4}
_EXAMPLE = {"spec": {"schedule": _SCHEDULE, "total_steps": 8}, "reason": "first try", "labels": {"model": "bert"}}
_CREATES = {201: {"model": Run, "description": "the run is new"}}


@resource.declare(
    "PUT",
    RUN,
    scope="publish",
    namespace=NAMESPACE,
    example=Example(NAMED, body=_EXAMPLE, status=201, headers={"if-none-match": "*"}),
    errors=(400, 403, 404, 409, 410, 412, 413, 415, 422, 423, 428, 503),
    response_model=Run,
    responses=_CREATES,
    openapi_extra={**json_body(RunRequest), "parameters": precondition_headers("If-Match", "If-None-Match")},
)
async def put_run(name: NameDep, request: Request, server: ServerDep) -> Response:
    """Create a run with If-None-Match: *, or move it to another table with If-Match.

    The table of a spec is computed and stored first. To create a run that has this table already is a success, so that
    every process of a job may do it. For another table the error is 412, with the run as it is, and where the tables
    differ first. With `if_exists` a run that was created with this table, and has been changed since, is a success,
    too: for a job that is started again. To move a run to the table that it has makes no version. A token without the
    scope `read` is sent documents of runs whose `spec` is null, as by every change of a run.
    """
    expected = precondition(field(request, "if-match"), field(request, "if-none-match"))
    async with server.bodies.receive(request) as body:
        given = await parsed(body, RunRequest, server)
        target = await _target(given, len(body), request, server)
    edit = RunEdit(
        action="create" if expected is None else "move",
        author=author_of(request),
        reason=given.reason,
        link=given.link,
        labels=given.labels,
        rules=_plain(given.rules),
    )
    with reported_conflicts(request, name):
        if expected is None:
            head, made = await server.runs.create(name, target, edit, may_have_changed=given.if_exists == "use")
        else:
            head, made = await server.runs.move(name, expected, target, edit)
    return run_response(request, head, 201 if made and expected is None else 200)


async def _target(given: RunRequest, size: int, request: Request, server: ServerState) -> RunTarget:
    """Return the table that a body names. It is computed if it must be, unless the client disconnects."""
    identity = identity_of(request.scope)
    if given.digest is not None:
        identity.check("read", "a run of a table by its digest")
        return await server.runs.target_of_digest(given.digest)
    spec = await read_sized(size, server, spec_at, "/spec", given.spec, server.settings)
    with pointing_into("/spec"):
        identity.check_spec(spec)
    return await cancel_on_disconnect(request.receive, server.runs.target_of_spec(spec))


def _plain(rules: Rules | None) -> dict[str, Any] | None:
    return None if rules is None else rules.model_dump(exclude_none=True)


@resource.declare(
    "GET",
    RUN,
    scope="read",
    namespace=NAMESPACE,
    example=Example(NAMED),
    errors=(404, 410, 422, 503),
    response_model=RunNow,
)
async def get_run(name: NameDep, request: Request, server: ServerDep) -> Response:
    """A run as it is now, or was at most 2 seconds ago.

    The ETag is `"v3"` at version 3, and `"v3.2"` when its lock, labels or rules were set anew twice since. While the
    database is away it is the last that this server knows: `stale` is true, and `Age` says how old it is.
    """
    served = await server.runs.head(name)
    document = RunNow.of_served(served)
    headers = {**CACHING, "etag": etag(document.version, document.revision)}
    if served.stale:
        headers["age"] = f"{served.age_seconds:.0f}"
    if_none_match = field(request, "if-none-match").encode("latin-1")
    if if_none_match and is_not_modified(if_none_match, headers["etag"].encode()):
        return Response(status_code=304, headers=headers)
    return document_response(document, 200, headers)


@resource.declare(
    "POST",
    f"{RUN}/rollback",
    scope="publish",
    namespace=NAMESPACE,
    example=Example(NAMED, body={"version": 1, "reason": "the loss rose"}, headers={"if-match": '"v1"'}),
    errors=(400, 404, 409, 410, 412, 413, 415, 422, 423, 428, 503),
    response_model=Run,
    openapi_extra={**json_body(RollbackRequest), "parameters": precondition_headers("If-Match")},
)
async def roll_back(name: NameDep, request: Request, server: ServerDep) -> Response:
    """Append a version that has the table of an earlier one.

    Its rows must be the same as far as workers have reported to be, unless they go back (`rewind`).
    """
    expected = expected_version(field(request, "if-match"))
    async with server.bodies.receive(request) as body:
        given = await parsed(body, RollbackRequest, server)
    edit = RunEdit("rollback", author_of(request), given.reason, given.link)
    with reported_conflicts(request, name):
        head = await server.runs.rollback(name, expected, given.version, edit, rewind=given.rewind)
        return run_response(request, head)


@resource.declare(
    "DELETE",
    RUN,
    scope="publish",
    namespace=NAMESPACE,
    example=Example(NAMED, headers={"if-match": '"v1"'}),
    errors=(400, 404, 410, 412, 413, 415, 422, 423, 428, 503),
    response_model=Run,
    openapi_extra={**json_body(DeleteRequest, required=False), "parameters": precondition_headers("If-Match")},
)
async def delete_run(name: NameDep, request: Request, server: ServerDep) -> Response:
    """Delete a run: its last version is a tombstone, and all of them can still be read."""
    expected = expected_version(field(request, "if-match"))
    given = await optional_body(request, DeleteRequest, server)
    edit = RunEdit("delete", author_of(request), given.reason, given.link)
    with reported_conflicts(request, name):
        return run_response(request, await server.runs.delete(name, expected, edit))


@resource.declare(
    "PATCH",
    RUN,
    scope="publish",
    namespace=NAMESPACE,
    example=Example(NAMED, body={"labels": {"model": "bert", "stage": "final"}}, headers={"if-match": '"v1"'}),
    errors=(400, 404, 410, 412, 413, 415, 422, 428, 503),
    response_model=Run,
    openapi_extra={**json_body(RunSettings), "parameters": precondition_headers("If-Match")},
)
async def set_run(name: NameDep, request: Request, server: ServerDep) -> Response:
    """Lock or unlock a run, or replace its labels or guard rails. The version stays; the feed of changes has each.

    The ETag gets a revision: `"v3.1"`. If-Match `"v3"` is version 3 whatever was set of it since, here and wherever a
    run is changed; `"v3.1"` must be the revision too, and `"v3.0"` is version 3 before anything was set.
    """
    expected = expected_version(field(request, "if-match"))
    async with server.bodies.receive(request) as body:
        given = await parsed(body, RunSettings, server)
    with reported_conflicts(request, name):
        head = await server.runs.set(
            name,
            expected,
            author_of(request),
            locked=given.locked,
            labels=given.labels,
            rules=_plain(given.rules),
            reason=given.reason,
        )
    return run_response(request, head)
