"""Amendments of runs, and proposals of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query, Request, Response

from scheduler import Spec
from scheduler.amendments import Amendment, parse_amendment
from service.database.runs.rows import Expected, RunName
from service.documentation.examples import Example
from service.errors import MOST_INTEGER
from service.http.disconnect import cancel_on_disconnect
from service.representations.amendments import (
    AmendmentRequest,
    DecisionRequest,
    DryRunDocument,
    NewProposal,
    Proposal,
    Proposals,
    amendment_body,
    read_amendment,
)
from service.representations.paths import RUNS
from service.representations.runs import Run, expected_version
from service.routes.declaration import Resource
from service.routes.dependencies import ServerDep
from service.routes.runs.history import PageQuery
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
    may_read,
    optional_body,
    precondition_headers,
    read_sized,
    reported_conflicts,
    run_response,
)
from service.runs.amendments import CheckSpec, edit_of, names_tables
from service.runs.guards import outlined
from service.security.tokens import identity_of
from service.state import ServerState

resource = Resource("runs", RUNS)

_COOLDOWN = {"template": "cooldown", "from_step": 6, "length": 4, "reason": "the loss is flat"}
_OF_VERSION_1 = {"if-match": '"v1"'}
_PROPOSALS = f"{RUN}/proposals"
_PROPOSED = {**NAMED, "proposal": "1"}
_BODY = {**amendment_body("#/components/schemas/{model}"), "parameters": precondition_headers("If-Match")}
_CHANGES = (400, 403, 404, 409, 410, 412, 413, 415, 422, 423, 428, 503)

ProposalNumber = Annotated[int, Path(ge=1, le=MOST_INTEGER, description="1, 2, ...")]


@resource.declare(
    "POST",
    f"{RUN}/amendments",
    scope="publish",
    namespace=NAMESPACE,
    example=Example(NAMED, body=_COOLDOWN, status=201, headers=_OF_VERSION_1),
    errors=_CHANGES,
    response_model=DryRunDocument,
    responses={201: {"model": Run, "description": "the run has a new version"}},
    openapi_extra=_BODY,
)
async def amend_run(name: NameDep, request: Request, server: ServerDep) -> Response:
    """Change a run from a step on; every row before it keeps its bits, which is proven.

    It is refused if a worker has reported a step so far on that it may have passed `from_step`, unless workers go back
    (`rewind`), and if it breaks a guard rail of the run. With `dry_run` the response says what it would do, with a
    picture, and nothing is changed.
    """
    expected = expected_version(field(request, "if-match"))
    given = await _received(request, server)
    if given.dry_run:
        return await _dry_run(name, expected, given.amendment, request, server)
    with reported_conflicts(request, name):
        preparing = server.amendments.prepare(name, expected, given.amendment, _checks(request, given.amendment))
        prepared = await cancel_on_disconnect(request.receive, preparing)
        edit = edit_of(given.amendment, author_of(request), given.reason, given.link)
        return run_response(request, await server.amendments.apply(name, prepared, edit), 201)


async def _dry_run(
    name: RunName, expected: Expected, amendment: Amendment, request: Request, server: ServerState
) -> Response:
    identity_of(request.scope).check("read", "a dry run, which shows the run's values")
    with reported_conflicts(request, name):
        preparing = server.amendments.prepare(name, expected, amendment, _checks(request, amendment), dry_run=True)
        prepared = await cancel_on_disconnect(request.receive, preparing)
        found = DryRunDocument.of(await server.amendments.dry_run(name, prepared))
    return document_response(found, 200, CACHING)


async def _received(request: Request, server: ServerState) -> AmendmentRequest:
    async with server.bodies.receive(request) as body:
        return await read_sized(len(body), server, read_amendment, body, server.settings)


def _checks(request: Request, amendment: Amendment) -> CheckSpec:
    """Return what checks that the token allows the amended spec. What a tail reveals of stored tables needs `read`."""
    identity = identity_of(request.scope)
    if names_tables(amendment):
        identity.check("read", "a tail that names a table by its digest")

    def check(spec: Spec) -> None:
        identity.check_steps(spec.total_steps)

    return check


@resource.declare(
    "POST",
    _PROPOSALS,
    scope="propose",
    namespace=NAMESPACE,
    example=Example(NAMED, body=_COOLDOWN, status=201, headers=_OF_VERSION_1),
    errors=_CHANGES,
    response_model=DryRunDocument,
    responses={201: {"model": NewProposal, "description": "it is proposed"}},
    openapi_extra=_BODY,
)
async def propose(name: NameDep, request: Request, server: ServerDep) -> Response:
    """Propose an amendment for the version that the run has. It takes effect when someone who may publish approves it.

    The body is that of an amendment. One that cannot be is refused now; the guard rails hold when it is approved, and
    `refusals` says what they would refuse now. With `dry_run` the response is that of an amendment's dry run, and
    nothing is proposed.
    """
    expected = expected_version(field(request, "if-match"))
    given = await _received(request, server)
    if given.dry_run:
        return await _dry_run(name, expected, given.amendment, request, server)
    with reported_conflicts(request, name):
        proposing = server.proposals.propose(
            name,
            expected,
            given.amendment,
            author_of(request),
            given.reason,
            given.link,
            _checks(request, given.amendment),
        )
        row, refusals = await cancel_on_disconnect(request.receive, proposing)
    found = NewProposal.of_new(row, refusals if may_read(request, name) else outlined(refusals))
    headers = {**CACHING, "location": f"{RUNS}/{name}/proposals/{row.proposal}"}
    return document_response(found, 201, headers)


@resource.declare(
    "GET",
    _PROPOSALS,
    scope="read",
    namespace=NAMESPACE,
    example=Example(NAMED),
    errors=(404, 422, 503),
    response_model=Proposals,
)
async def list_proposals(name: NameDep, query: Annotated[PageQuery, Query()], server: ServerDep) -> Response:
    """The proposals of a run, the oldest first, in pages."""
    rows = await server.proposals.list(name, after=query.after, limit=query.limit + 1)
    page, last = query.page_of(rows)
    found = Proposals(proposals=[Proposal.of(row) for row in page], next=None if last is None else last.proposal)
    return document_response(found, 200, CACHING)


@resource.declare(
    "GET",
    f"{_PROPOSALS}/{{proposal}}",
    scope="read",
    namespace=NAMESPACE,
    example=Example(_PROPOSED),
    errors=(404, 422, 503),
    response_model=Proposal,
)
async def get_proposal(name: NameDep, proposal: ProposalNumber, server: ServerDep) -> Response:
    """One proposal of a run, and what became of it."""
    return document_response(Proposal.of(await server.proposals.get(name, proposal)), 200, CACHING)


@resource.declare(
    "POST",
    f"{_PROPOSALS}/{{proposal}}/approve",
    scope="publish",
    namespace=NAMESPACE,
    example=Example(_PROPOSED, status=201),
    errors=(400, 403, 404, 409, 410, 413, 415, 422, 423, 503),
    status_code=201,
    response_model=Run,
    openapi_extra=json_body(DecisionRequest, required=False),
)
async def approve(name: NameDep, proposal: ProposalNumber, request: Request, server: ServerDep) -> Response:
    """Apply a proposal to the run, which must have the version that it was made for."""
    given = await optional_body(request, DecisionRequest, server)
    row = await server.proposals.get(name, proposal)
    check = _checks(request, parse_amendment(row.amendment))
    approving = server.proposals.approve(name, proposal, author_of(request), given.reason, check)
    with reported_conflicts(request, name):
        return run_response(request, await approving, 201)


@resource.declare(
    "POST",
    f"{_PROPOSALS}/{{proposal}}/reject",
    scope="publish",
    namespace=NAMESPACE,
    example=Example(_PROPOSED, body={"reason": "wait for the evaluation"}),
    errors=(400, 404, 409, 413, 415, 422, 503),
    response_model=Proposal,
    openapi_extra=json_body(DecisionRequest, required=False),
)
async def reject(
    name: NameDep, proposal: ProposalNumber, request: Request, response: Response, server: ServerDep
) -> Any:
    """Reject a proposal. The feed of changes has the reason.

    A token without the scope `read` is told no more of the amendment than its template and its step.
    """
    given = await optional_body(request, DecisionRequest, server)
    response.headers.update(CACHING)
    row = await server.proposals.reject(name, proposal, author_of(request), given.reason)
    return Proposal.of(row, with_values=may_read(request, name))
