"""The positions that workers of a run report."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from service.documentation.examples import Example
from service.representations.amendments import Progress, ProgressAnswer, ProgressRequest
from service.representations.paths import RUNS
from service.routes.declaration import Resource
from service.routes.dependencies import ServerDep
from service.routes.runs.parts import CACHING, NAMED, NAMESPACE, RUN, NameDep, json_body, parsed

resource = Resource("runs", RUNS)


@resource.declare(
    "POST",
    f"{RUN}/progress",
    scope="compute",
    namespace=NAMESPACE,
    example=Example(NAMED, body={"worker": "rank-0", "step": 2}),
    errors=(400, 404, 410, 413, 415, 422, 503),
    response_model=ProgressAnswer,
    openapi_extra=json_body(ProgressRequest),
)
async def report_progress(name: NameDep, request: Request, response: Response, server: ServerDep) -> Any:
    """Report a worker's position, so that no amendment lands behind it. The last report of each worker counts.

    The response has the run's version, so that a worker learns of a change.
    """
    async with server.bodies.receive(request) as body:
        given = await parsed(body, ProgressRequest, server)
    head, highest = await server.progress.report(name, given.worker, given.step)
    response.headers.update(CACHING)
    return ProgressAnswer(version=head.run.version, digest=head.run.digest, highest=highest)


@resource.declare(
    "GET",
    f"{RUN}/progress",
    scope="read",
    namespace=NAMESPACE,
    example=Example(NAMED),
    errors=(404, 410, 422, 503),
    response_model=Progress,
)
async def get_progress(name: NameDep, response: Response, server: ServerDep) -> Any:
    """The position that each worker of a run has reported last, since the run was last rewound."""
    response.headers.update(CACHING)
    return Progress.of(await server.progress.reports(name))
