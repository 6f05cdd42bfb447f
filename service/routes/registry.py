"""All routes of the server, and matching a request to its route."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from service.routes import changes, docs, explorer, health, lr, schedules, tables, token
from service.routes.declaration import Route
from service.routes.runs import amendments, heads, history, listing, progress

OTHER = "other"
"""The name of all paths without a route in metrics and logs, so that mistyped paths add no names."""

_CACHED = 1024  # requests whose route need not be found again
_LONGEST = 256  # characters of such a path


class Match(NamedTuple):
    """The route of a request, and its path parameters.

    If no route matches path and method, it is the first one that matches the path with another method.
    """

    route: Route
    parameters: Mapping[str, str]
    has_method: bool


class Routes:
    """Routes in the order in which they are tried, which is the order of FastAPI's router."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = tuple(routes)
        self._cached_match = lru_cache(_CACHED)(self._match)

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def match(self, method: str, path: str) -> Match | None:
        """Return the route of a request; None if no route matches its path."""
        return (self._cached_match if len(path) <= _LONGEST else self._match)(method, path)

    def _match(self, method: str, path: str) -> Match | None:
        wanted = "GET" if method == "HEAD" else method
        found = [
            Match(route, matched.groupdict(), route.method == wanted)
            for route in self._routes
            if (matched := route.pattern.match(path))
        ]
        return next((match for match in found if match.has_method), found[0] if found else None)

    def name_of(self, method: str, path: str) -> str:
        """Return the name of a request's route in metrics and logs: `/v1/tables/{digest}/manifest`, or `other`."""
        match = self.match(method, path)
        return OTHER if match is None else match.route.template


_RUNS = (listing, heads, history, amendments, progress)
_PAGES = (explorer, docs)
ROUTES = Routes(
    route
    for module in (tables, *_RUNS, changes, schedules, lr, *_PAGES, token, health)  # the order of the documentation
    for route in module.resource.routes
)
