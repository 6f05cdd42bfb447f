"""Finds responses in the memory cache, for the connections' fast path and for the application."""

from __future__ import annotations

from service.http.conditional import preferred
from service.http.responses import BufferResponse, Fields, HttpResponse, joined_field
from service.representations.formats import BY_MEDIA_TYPE, MEDIA_TYPES
from service.representations.paths import AFTER_DIGEST, DIGEST, TABLE
from service.representations.table_responses import TableResponses
from service.state import ServerState


class CachedResponses:
    """The responses with their full bodies in memory: tables, and manifests with a final origin."""

    def __init__(self, server: ServerState) -> None:
        self.counters = server.tables.counters
        self._get = server.tables.cache.get

    def find(self, path: str, headers: Fields) -> BufferResponse | None:
        """Return the response to a GET or HEAD of this path, without a query; None if the routes must handle it.

        The caller counts a cache hit when it sends the response.
        """
        entry = self._get(path[DIGEST])
        if entry is None or entry.is_damaged or not path.startswith(TABLE):
            return None
        rest = path[AFTER_DIGEST]
        responses = entry.rendered
        response = responses.paths.get(rest) if rest else _preferred(responses, headers)
        return response if isinstance(response, BufferResponse) else None


def _preferred(responses: TableResponses, headers: Fields) -> HttpResponse | None:
    """Return the table in the format preferred by Accept; None if it accepts none, which is an error of the route."""
    chosen = preferred(joined_field(headers, b"accept").decode("latin-1"), MEDIA_TYPES)
    return None if chosen is None else responses.in_format(BY_MEDIA_TYPE[chosen], varies=True)
