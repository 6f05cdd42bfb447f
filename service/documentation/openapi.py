"""The OpenAPI document: what FastAPI sees, the bodies that the routes read by themselves, examples, and who may ask."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from scheduler import Spec
from service.documentation.examples import Example, examples
from service.http.error_status import ERROR_STATUSES
from service.http.problems import Problem
from service.state import ServerState

PROBLEM = "application/problem+json"
_REF = "#/components/schemas/{model}"
_TOKEN = {"type": "http", "scheme": "bearer", "description": "a token that `lrtables token create` has printed"}
_ANY = "AnySchedule"
_OPEN = ("/", "/livez", "/readyz")  # what needs no token, but for /readyz?verbose
_TAGS = {
    "tables": "Learning rates, one row per step, under a name that never changes: the digest of the values.",
    "schedules": "The kinds of schedules that tables are computed from.",
    "server": "Whether the server is well, what it allows, and who asks.",
}


def install(app: FastAPI) -> None:
    """Let the application's document describe specs, problems and tokens too, and show examples."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            server: ServerState = app.state.server
            app.openapi_schema = _document(app, asks_for_tokens=server.settings.asks_for_tokens)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _document(app: FastAPI, *, asks_for_tokens: bool) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    document["tags"] = [{"name": name, "description": description} for name, description in _TAGS.items()]
    schemas: dict[str, Any] = document["components"]["schemas"]
    for model in (Spec, Problem):
        schemas.update(_schemas(model))
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas.update(_with_one_union(schemas))
    for route, operation in operations(document):
        _describe_responses(operation)
        _show(examples().routes[route], operation)
    if asks_for_tokens:
        _ask_for_tokens(document)
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each operation of a document with its method and path, as in `get /v1/tables/{digest}`."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def _schemas(model: type[BaseModel]) -> dict[str, Any]:
    """A model's schema and those it refers to, by name."""
    schema = model.model_json_schema(ref_template=_REF)
    return {**schema.pop("$defs", {}), model.__name__: schema}


def _with_one_union(schemas: dict[str, Any]) -> dict[str, Any]:
    """The schemas with "a schedule of any kind" written once, and not in each that holds others, which hold others."""
    unions: list[dict[str, Any]] = []

    def shared(node: Any) -> Any:
        if isinstance(node, list):
            return [shared(item) for item in node]
        if not isinstance(node, dict):
            return node
        if node.get("discriminator", {}).get("propertyName") == "kind":
            unions.append({"oneOf": node["oneOf"], "discriminator": node["discriminator"]})
            rest = {name: value for name, value in node.items() if name not in unions[0]}
            return {**rest, "$ref": _REF.format(model=_ANY)}
        return {name: shared(value) for name, value in node.items()}

    return {**{name: shared(schema) for name, schema in schemas.items()}, _ANY: unions[0]}


def _describe_responses(operation: dict[str, Any]) -> None:
    """Every error is a problem, described by its codes; FastAPI would describe a body of 422 that is never sent."""
    responses = operation["responses"]
    problem = {"schema": {"$ref": _REF.format(model=Problem.__name__)}}
    responses["default"] = {"description": "an error", "content": {PROBLEM: problem}}
    for status, answer in responses.items():
        if status.isdigit() and int(status) >= HTTPStatus.BAD_REQUEST:
            codes = [found.code for found in ERROR_STATUSES.values() if found.status == int(status)]
            answer.update(description=" or ".join(dict.fromkeys(codes)), content={PROBLEM: problem})
        elif answer["description"] == "Successful Response":
            answer["description"] = HTTPStatus(int(status)).phrase
    if "422" in responses:
        responses["422"]["content"] = {PROBLEM: {**problem, "example": examples().error.answers[PROBLEM]}}


def _show(example: Example, operation: dict[str, Any]) -> None:
    """Put an example into the description of its route."""
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in example.parameters:
            parameter["example"] = example.parameters[parameter["name"]]
    if example.body is not None:
        operation["requestBody"]["content"]["application/json"]["example"] = example.body
    content = operation["responses"][str(example.status)].get("content", {})
    for media_type, answer in example.answers.items():
        content[media_type]["example"] = answer


def _ask_for_tokens(document: dict[str, Any]) -> None:
    document["components"]["securitySchemes"] = {"token": _TOKEN}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            operation["security"] = [*([{}] if path in _OPEN else []), {"token": []}]
