"""Addresses by their route, for metrics: what most workers ask for never comes to FastAPI's router."""

from __future__ import annotations

from service.tables.formats import FORMATS

OTHER = "other"
"""Stands for every address that is none of ours: a name per address would be a name per table, and per typing error."""

_FIXED = (
    "/",
    "/livez",
    "/readyz",
    "/metrics",
    "/v1/lr",
    "/v1/openapi.json",
    "/v1/schedules",
    "/v1/server",
    "/v1/tables",
    "/v1/token",
)
_KIND = "/v1/schedules/"
_CHECK = "/v1/token/"
TABLE = "/v1/tables/"
"""What the path of a table begins with; its digest follows, and then what of it is wanted."""
DIGEST = slice(len(TABLE), len(TABLE) + 64)
AFTER_DIGEST = slice(DIGEST.stop, None)
_PARTS = ("", "/manifest", "/values", *(f".{item.extension}" for item in FORMATS))

_ROUTES = {path: path for path in _FIXED}
_TABLE_ROUTES = {part: f"{TABLE}{{digest}}{part}" for part in _PARTS}


def route_of(path: str) -> str:
    """The route of a path as the OpenAPI document writes it, `/v1/tables/{digest}/manifest`, or `other`."""
    if path.startswith(TABLE):
        return _TABLE_ROUTES.get(path[AFTER_DIGEST], OTHER)
    if path.startswith(_KIND):
        return f"{_KIND}{{kind}}"
    if path.startswith(_CHECK):
        return f"{_CHECK}{{scope}}"
    return _ROUTES.get(path, OTHER)
