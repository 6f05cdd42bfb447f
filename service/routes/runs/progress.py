"""The positions that workers of a run report."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request, Response

from service.documentation.examples import Example
from service.representations.amendments import WORKER_PATTERN, Forgotten, Progress, ProgressAnswer, ProgressRequest
from service.representations.paths import RUNS
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
    json_body,
    parsed,
)

resource = Resource("runs", RUNS)

Worker = Annotated[str, Path(pattern=WORKER_PATTERN, description="its name within the run, such as rank-0")]


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

    The response has the run's version, so that a worker learns of a change. A report with the `version` that the
    worker follows does not count if the run was rewound since (`counted` is false): the worker is on the branch that
    was left, and is to restart. A position past the table's end is taken, because a table may hold its last values.
    """
    async with server.bodies.receive(request) as body:
        given = await parsed(body, ProgressRequest, server)
    found = await server.progress.report(name, given.worker, given.step, given.version)
    response.headers.update(CACHING)
    run = found.run
    return ProgressAnswer(version=run.version, digest=run.digest, highest=found.highest, counted=found.counted)


@resource.declare(
    "GET",
    f"{RUN}/progress",
    scope="read",
    namespace=NAMESPACE,
    example=Example(NAMED),
    errors=(404, 410, 422, 503),
    response_model=Progress,
)
async def get_progress(name: NameDep, server: ServerDep) -> Response:
    """The position that each worker of a run has reported last, since the run was last rewound."""
    return document_response(Progress.of(await server.progress.reports(name)), 200, CACHING)


@resource.declare(
    "DELETE",
    f"{RUN}/progress",
    scope="publish",
    namespace=NAMESPACE,
    example=Example(NAMED),
    errors=(404, 410, 422, 503),
    response_model=Forgotten,
)
async def forget_progress(name: NameDep, request: Request, response: Response, server: ServerDep) -> Any:
    """Forget what every worker of a run has reported, so that amendments may land anywhere until they report again.

    The feed of changes tells who did it.
    """
    response.headers.update(CACHING)
    return Forgotten(forgotten=await server.progress.forget(name, None, author_of(request)))


@resource.declare(
    "DELETE",
    f"{RUN}/progress/{{worker:path}}",
    scope="publish",
    namespace=NAMESPACE,
    example=Example({**NAMED, "worker": "rank-0"}),
    errors=(404, 410, 422, 503),
    response_model=Forgotten,
)
async def forget_worker(name: NameDep, worker: Worker, request: Request, response: Response, server: ServerDep) -> Any:
    """Forget what one worker of a run has reported: it is gone, or its report was wrong.

    `forgotten` is empty if it had reported nothing. The feed of changes tells who did it.
    """
    response.headers.update(CACHING)
    return Forgotten(forgotten=await server.progress.forget(name, worker, author_of(request)))
