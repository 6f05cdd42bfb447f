"""The OpenAPI document: FastAPI's own, completed with request bodies, problems, examples and authentication."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Protocol

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from scheduler import KINDS, Spec
from service.documentation.examples import ERROR, Example, recorded_responses
from service.http.error_status import ERROR_STATUSES
from service.http.problems import MEDIA_TYPE as PROBLEM
from service.http.problems import Problem
from service.representations.amendments import amendment_schemas

_REF = "#/components/schemas/{model}"
_TOKEN = {"type": "http", "scheme": "bearer", "description": "a token from `lrtables token create`"}
_ANY = "AnySchedule"
_TAGS = {
    "tables": "Learning rates, one row per step, identified by the digest of the values.",
    "runs": "Names that point at tables; each change of one is a new version.",
    "schedules": "The kinds of schedules that tables are computed from.",
    "changes": "The feed of the changes of runs, numbered without a gap.",
    "server": "Health, limits and counters of the server, and the token of the current request.",
}


class Declared(Protocol):
    """The parts of a route's declaration that FastAPI does not know."""

    @property
    def name(self) -> str:
        """Method and path, as in `get /v1/tables/{digest}`."""

    @property
    def example(self) -> Example | None:
        """An example request."""

    @property
    def is_open(self) -> bool:
        """Whether a request needs no token."""


def install(app: FastAPI, routes: Iterable[Declared], *, requires_tokens: bool) -> None:
    """Complete the application's document with specs, problems, tokens and the examples of its routes."""
    declared = {route.name: route for route in routes}

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, declared, requires_tokens=requires_tokens)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _document(app: FastAPI, declared: Mapping[str, Declared], *, requires_tokens: bool) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    document["tags"] = [{"name": name, "description": description} for name, description in _TAGS.items()]
    schemas: dict[str, Any] = document["components"]["schemas"]
    for model in (Spec, Problem):
        schemas.update(_schemas(model))
    schemas.update(amendment_schemas(_REF))
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas.update(_with_one_union(schemas))
    for name, operation in operations(document):
        _describe_responses(operation)
        if (example := declared[name].example) is not None:
            _show(example, recorded_responses(name), operation)
        if requires_tokens:
            operation["security"] = [*([{}] if declared[name].is_open else []), {"token": []}]
    if requires_tokens:
        document["components"]["securitySchemes"] = {"token": _TOKEN}
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each operation of a document with its method and path, as in `get /v1/tables/{digest}`."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def _schemas(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's schema and those that it refers to, by name."""
    schema = model.model_json_schema(ref_template=_REF)
    return {**schema.pop("$defs", {}), model.__name__: schema}


def _with_one_union(schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas with "a schedule of any kind" as one shared schema instead of a copy in each composite."""
    unions: list[dict[str, Any]] = []

    def shared(node: Any) -> Any:
        if isinstance(node, list):
            return [shared(item) for item in node]
        if not isinstance(node, dict):
            return node
        if len(node.get("discriminator", {}).get("mapping", ())) == len(
            KINDS
        ):  # torch's composites hold only torch's kinds
            unions.append({"oneOf": node["oneOf"], "discriminator": node["discriminator"]})
            rest = {name: value for name, value in node.items() if name not in unions[0]}
            return {**rest, "$ref": _REF.format(model=_ANY)}
        return {name: shared(value) for name, value in node.items()}

    return {**{name: shared(schema) for name, schema in schemas.items()}, _ANY: unions[0]}


def _describe_responses(operation: dict[str, Any]) -> None:
    """Describe every error as a problem with its codes, in place of FastAPI's own 422 body, which is never sent."""
    responses = operation["responses"]
    problem = {"schema": {"$ref": _REF.format(model=Problem.__name__)}}
    responses["default"] = {"description": "an error", "content": {PROBLEM: problem}}
    for status, response in responses.items():
        if status.isdigit() and int(status) >= HTTPStatus.BAD_REQUEST:
            codes = [found.code for found in ERROR_STATUSES.values() if found.status == int(status)]
            response.update(description=" or ".join(dict.fromkeys(codes)), content={PROBLEM: problem})
        elif response["description"] == "Successful Response":
            response["description"] = HTTPStatus(int(status)).phrase
    if "422" in responses:
        responses["422"]["content"] = {PROBLEM: {**problem, "example": recorded_responses(ERROR)[PROBLEM]}}


def _show(example: Example, bodies: Mapping[str, Any], operation: dict[str, Any]) -> None:
    """Add an example request, and its recorded response bodies, to the description of its route."""
    for parameter in operation.get("parameters", ()):
        given = example.headers if parameter["in"] == "header" else example.parameters
        if (name := parameter["name"].lower()) in given:
            parameter["example"] = given[name]
    if example.body is not None:
        operation["requestBody"]["content"]["application/json"]["example"] = example.body
    content = operation["responses"][str(example.status)].get("content", {})
    for media_type, body in bodies.items():
        content[media_type]["example"] = body
