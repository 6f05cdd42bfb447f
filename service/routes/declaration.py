"""Declarations of routes: path, access, example and errors of a route in one place, for server, documents and tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from re import Pattern
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute, compile_path

from service.documentation.examples import Example
from service.security.tokens import SCOPES, Scope

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class Access(Enum):
    """Access rules for routes that are not simply open to tokens with one scope."""

    OPEN = "anyone, without a token"
    OPEN_WITHOUT_QUERY = "anyone, without a token; a request with a query needs a token that may read"
    ANY_TOKEN = "every valid token, whatever its scopes"
    SCOPE_IN_PATH = "a token with the scope that the path parameter `scope` names"


@dataclass(frozen=True)
class Route:
    """A route of the server. A route for GET also serves HEAD, without the body.

    Args:
        method: GET, POST, PUT, PATCH or DELETE.
        path: path with Starlette's parameters, such as `/v1/tables/{digest}`.
        endpoint: FastAPI endpoint function; its docstring describes the route.
        tag: section of the documentation.
        scope: scope that a request's token needs, or another access rule.
        namespace: template of the request's namespace from path parameters, such as `{namespace}/{name}`. The token's
            namespaces must cover it. None if the route has no namespace: tokens of any namespace may use it.
        example: request that the documentation shows with its response; a test fails if it is missing.
        errors: statuses of the errors that the documentation lists.
        options: other arguments of `FastAPI.add_api_route`: `response_model`, `responses`, ...

    Raises `ValueError` for an unknown method or scope, and for a namespace with parameters that the path lacks.
    """

    method: str
    path: str
    endpoint: Callable[..., Any]
    tag: str
    scope: Scope | Access
    namespace: str | None
    example: Example | None
    errors: Sequence[int]
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Raise `ValueError` for an invalid declaration, when the module of the route is imported."""
        route = f"{self.method} {self.path}"
        if self.method not in _METHODS:
            raise ValueError(f"{route}: method must be one of {', '.join(_METHODS)}")
        if not isinstance(self.scope, Access) and self.scope not in SCOPES:
            raise ValueError(f"{route}: scope must be {', '.join(SCOPES)} or a member of Access, got {self.scope!r}")
        try:
            self.namespace_of(dict.fromkeys(self._compiled[2], ""))
        except KeyError as error:
            raise ValueError(f"{route}: namespace {self.namespace!r} names {error}, which the path lacks") from error

    @cached_property
    def _compiled(self) -> tuple[Pattern[str], str, Mapping[str, Any]]:
        return compile_path(self.path)

    @cached_property
    def pattern(self) -> Pattern[str]:
        """The regular expression that matches the route's paths, as in the router."""
        return self._compiled[0]

    @cached_property
    def template(self) -> str:
        """The path as in the OpenAPI document. It is the route's name in metrics and logs."""
        return self._compiled[1]

    @property
    def name(self) -> str:
        """Method and path as in the documentation: `get /v1/tables/{digest}`."""
        return f"{self.method.lower()} {self.template}"

    @property
    def is_documented(self) -> bool:
        """Whether the OpenAPI document has the route."""
        return bool(self.options.get("include_in_schema", True))

    @property
    def is_open(self) -> bool:
        """Whether a request without a query needs no token."""
        return self.scope in (Access.OPEN, Access.OPEN_WITHOUT_QUERY)

    def namespace_of(self, parameters: Mapping[str, str]) -> str | None:
        """Return the namespace of a request with these path parameters; None if the route has none."""
        return None if self.namespace is None else self.namespace.format_map(parameters)

    @cached_property
    def _made(self) -> list[BaseRoute]:
        """FastAPI's routes, made once in a process: they take most of the time that an application takes to build."""
        responses = {**self.options.get("responses", {}), **{status: {} for status in self.errors}}
        options: dict[str, Any] = {"tags": [self.tag], **self.options, "responses": responses}
        router = APIRouter()
        router.add_api_route(self.path, self.endpoint, methods=[self.method], **options)
        if self.method == "GET":
            options["include_in_schema"] = False
            router.add_api_route(self.path, self.endpoint, methods=["HEAD"], **options)
        return router.routes

    def add_to(self, app: FastAPI) -> None:
        """Add the route to an application."""
        app.router.routes.extend(self._made)


class Resource:
    """The routes of one resource. `declare` is a decorator for their endpoint functions.

    Args:
        tag: section of the documentation.
        prefix: start of every path of the resource.
    """

    def __init__(self, tag: str, prefix: str = "") -> None:
        self.routes: list[Route] = []
        self._tag = tag
        self._prefix = prefix

    def declare(
        self,
        method: str,
        path: str,
        *,
        scope: Scope | Access,
        namespace: str | None = None,
        example: Example | None = None,
        errors: Sequence[int] = (),
        **options: Any,
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a route; `Route` explains the arguments. If several routes match a request, the first one is used."""

        def declared(endpoint: Endpoint) -> Endpoint:
            route = Route(method, self._prefix + path, endpoint, self._tag, scope, namespace, example, errors, options)
            self.routes.append(route)
            return endpoint

        return declared
