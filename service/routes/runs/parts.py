"""What the routes of runs share: the name in the path, the author, conflicts, responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Path, Request, Response
from pydantic import BaseModel

from scheduler import Spec
from service.database.runs.rows import Author, RunHead, RunName
from service.errors import GuardRailError
from service.http.responses import header, repr_digest
from service.representations.bodies import read_model
from service.representations.paths import RUNS
from service.representations.runs import Run, conflict, etag
from service.runs.guards import without_values
from service.runs.rules import NAME_PATTERN
from service.runs.service import RunChangedError
from service.security.tokens import identity_of
from service.state import ServerState
from service.strict_json import SMALL

RUN = "/{namespace}/{name}"
"""The path of a run, below that of all."""
NAMESPACE = "{namespace}/{name}"
"""What a token's namespaces must cover."""
NAMED = {"namespace": "team-a", "name": "bert-base-42"}
"""The run of the examples."""
CACHING = {"cache-control": "private, no-cache, no-transform", "x-content-type-options": "nosniff"}
"""Headers of what changes: caches must ask each time."""

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


def _name(
    namespace: Annotated[str, Path(pattern=NAME_PATTERN, description="the part of the run's name before the slash")],
    name: Annotated[str, Path(pattern=NAME_PATTERN, description="the part after it")],
) -> RunName:
    return RunName(namespace, name)


NameDep = Annotated[RunName, Depends(_name)]


def location(name: RunName) -> str:
    """Return the path of a run."""
    return f"{RUNS}/{name}"


def author_of(request: Request) -> Author:
    """Return who sends a request."""
    identity = identity_of(request.scope)
    return Author(identity.name if identity.token_id else "", identity.token_id)


def field(request: Request, name: str) -> str:
    """Return a header of a request; empty if it is missing."""
    return header(request.scope, name.encode()).decode("latin-1")


@contextmanager
def reported_conflicts(request: Request, name: RunName) -> Iterator[None]:
    """Turn a `RunChangedError` of a `with` block into the error with the run as it is now.

    What a guard rail refuses is told to a token that may not read without the rates that break it.
    """
    try:
        yield
    except RunChangedError as error:
        raise conflict(error, with_values=may_read(request, name)) from error
    except GuardRailError as error:
        if may_read(request, name):
            raise
        raise without_values(error) from None


def may_read(request: Request, name: RunName) -> bool:
    """Return whether the token may read a run: what it is sent of it must not tell the table's values otherwise."""
    return identity_of(request.scope).allows("read", str(name))


def run_response(request: Request, head: RunHead, status: int = 200) -> Response:
    """Return the document of a run that was changed, with its entity tag; with its path if the status is 201.

    To a token that may not read the run it tells what identifies the table, and neither its spec nor its values.
    """
    name = RunName(head.run.namespace, head.run.name)
    headers = {**CACHING, "etag": etag(*head.run.state)}
    if status == 201:
        headers["location"] = location(name)
    return document_response(Run.of(head, with_values=may_read(request, name)), status, headers)


def document_response(document: BaseModel, status: int, headers: Mapping[str, str]) -> Response:
    """Return a document with its Repr-Digest, by which a client knows that no byte was changed on the way."""
    body = document.model_dump_json().encode()
    return Response(body, status, {**headers, "repr-digest": repr_digest(sha256(body).digest())}, "application/json")


async def parsed(body: bytes, model: type[M], server: ServerState) -> M:
    """Return a body as a model; a large one is parsed in a thread. Raises what `read_model` raises."""
    return await read_sized(len(body), server, read_model, body, model, server.settings)


async def read_sized(size: int, server: ServerState, read: Callable[..., T], *arguments: Any) -> T:
    """Return what `read` makes of a body of so many bytes; it is called in a thread if the body is large."""
    return read(*arguments) if size <= SMALL else await server.executors.parse(read, *arguments)


async def optional_body(request: Request, model: type[M], server: ServerState) -> M:
    """Return the body of a request as a model; its defaults if there is no body. Raises what `read_model` raises."""
    if field(request, "content-length") in ("", "0") and not field(request, "transfer-encoding"):
        return model()
    async with server.bodies.receive(request) as body:
        return await parsed(body, model, server)


def precondition_headers(*names: str) -> list[dict[str, Any]]:
    """Return the OpenAPI parameters for these headers; one alone is required."""
    texts = {
        "If-Match": 'the version that the run must have, such as "v3"; with "v3.2" also lock, labels and rules',
        "If-None-Match": "* if there must be no such run yet",
    }
    schema = {"If-Match": {"type": "string"}, "If-None-Match": {"type": "string"}}
    return [
        {"name": name, "in": "header", "required": len(names) == 1, "description": texts[name], "schema": schema[name]}
        for name in names
    ]


def json_body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Return the part of an OpenAPI operation that describes a JSON body of this model."""
    schema = model.model_json_schema()
    schema = _inlined(schema, schema.pop("$defs", {}))
    if "spec" in schema["properties"]:  # parsed by itself, and described as wherever one is sent
        schema["properties"]["spec"] = {"$ref": f"#/components/schemas/{Spec.__name__}"}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def _inlined(node: Any, models: Mapping[str, Any]) -> Any:
    """Return a JSON schema with these models in place of the references to them."""
    if isinstance(node, list):
        return [_inlined(item, models) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return models[node["$ref"].rpartition("/")[2]]
    return {name: _inlined(value, models) for name, value in node.items()}
