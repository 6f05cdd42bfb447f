"""Tables: computed by spec, published by value, fetched by digest."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request, Response
from starlette.convertors import Convertor, register_url_convertor

from scheduler import Spec
from service.documentation.examples import Example
from service.errors import NotAcceptableError
from service.http.conditional import is_not_modified, preferred
from service.http.disconnect import cancel_on_disconnect
from service.http.responses import BufferResponse, HttpResponse, StarletteResponse, header
from service.representations.formats import BY_MEDIA_TYPE, FORMATS, MEDIA_TYPES, TEXTS, Format
from service.representations.manifest import Manifest, TableList, TablesQuery, location
from service.representations.paths import TABLES
from service.representations.plots.pictures import PNG, SVG
from service.representations.plots.query import PlotQuery, PngQuery, SvgQuery
from service.representations.uploads import MEDIA_TYPES as UPLOADS
from service.representations.values import TableValues, ValuesQuery, select
from service.routes.declaration import Resource
from service.routes.dependencies import Digest, ServerDep, obtain
from service.security.tokens import identity_of
from service.state import ServerState
from service.tables.readable import ReadableTable

resource = Resource("tables", TABLES)


class _Bare(Convertor[str]):
    """A path part without an extension: a PUT to the path of a single format, such as `.npy`, is not allowed."""

    regex = "[^/.]+"

    def convert(self, value: str) -> str:  # docstring inherited
        return value

    def to_string(self, value: str) -> str:  # docstring inherited
        return value


register_url_convertor("bare", _Bare())

_SPEC = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{Spec.__name__}"}}},
}


_FILE = {
    "required": True,
    "content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in UPLOADS},
}
_NEW = {201: {"model": Manifest, "description": "the table is new here"}}
_SHORT = {"schedule": {"kind": "custom.LinearWarmup", "base_lr": 0.001, "warmup_steps": 4}, "total_steps": 8}
_DIGEST = {"digest": "21f187a367d976ee723223ae2d9a45bc6cc347324c01d2b5d9d2bf8b74e67f4b"}  # of that table


@resource.declare(
    "POST",
    "",
    scope="compute",
    example=Example(body=_SHORT, status=201),
    errors=(400, 413, 415, 422, 503),
    response_model=Manifest,
    responses=_NEW,
    openapi_extra={"requestBody": _SPEC},
)
async def make_table(request: Request, server: ServerDep) -> Response:
    """The manifest of a spec's table. A new table is computed and stored first: 201, else 200."""
    async with server.bodies.receive(request) as body:
        spec = await server.specs.read(body, request.receive)
        identity_of(request.scope).check_spec(spec)
        ready, made = await obtain(spec, request, server)
        return _described(ready.digest, ready.rendered.manifest_for(spec), new=made)


@resource.declare("GET", "", scope="read", example=Example(), errors=(422, 503), response_model=TableList)
async def list_tables(query: Annotated[TablesQuery, Query()], response: Response, server: ServerDep) -> Any:
    """The stored tables, in pages: ordered by digest, or with `newest` the one that was stored last first."""
    response.headers["cache-control"] = "private, no-cache, no-transform"
    tables, after = await server.tables.page(query.wanted(), query.cursor(), query.limit)
    return TableList.of(tables, after)


@resource.declare(
    "PUT",
    "",
    scope="publish",
    example=Example(status=201),
    errors=(413, 415, 422, 503),
    response_model=Manifest,
    responses=_NEW,
    openapi_extra={"requestBody": _FILE},
)
async def publish_table(request: Request, server: ServerDep) -> Response:
    """Publish a table by value: a safetensors file with its digest, as `Table.save` writes it."""
    return await _publish(None, request, server)


@resource.declare(
    "PUT",
    "/{digest:bare}",
    scope="publish",
    example=Example(_DIGEST, status=201),
    errors=(413, 415, 422, 503),
    response_model=Manifest,
    responses=_NEW,
    openapi_extra={"requestBody": _FILE},
)
async def publish_table_as(digest: Digest, request: Request, server: ServerDep) -> Response:
    """Publish a table by value, if it has this digest."""
    return await _publish(digest, request, server)


async def _publish(digest: str | None, request: Request, server: ServerState) -> Response:
    async with server.uploads.receive(request, digest) as table:
        identity_of(request.scope).check_steps(table.total_steps)
        ready, new = await server.tables.publish(table)
    return _described(ready.digest, ready.rendered.manifest, new=new)


def _described(digest: str, manifest: bytes, *, new: bool) -> Response:
    headers = {"location": location(digest), "x-content-type-options": "nosniff"}
    return Response(manifest, 201 if new else 200, headers, "application/json")


@resource.declare(
    "GET", "/{digest}/manifest", scope="read", example=Example(_DIGEST), errors=(404,), response_model=Manifest
)
async def manifest(digest: Digest, request: Request, server: ServerDep) -> Response:
    """The description of a table. It may change as long as the table's origin is only a claim."""
    return StarletteResponse((await server.tables.describe(digest)).rendered.manifest_response())


@resource.declare(
    "GET",
    "/{digest}/values",
    scope="read",
    example=Example({**_DIGEST, "steps": "0,3,7"}),
    errors=(404, 503),
    response_model=TableValues,
)
async def values(
    digest: Digest, query: Annotated[ValuesQuery, Query()], request: Request, server: ServerDep
) -> Response:
    """Some of a table's values: listed steps, or a downsampled range for a plot."""
    ready = await server.tables.get(digest)
    with ready.pin():
        work = server.executors.serialize(_selected, ready.table, query, server.settings.max_points)
        return StarletteResponse(await cancel_on_disconnect(request.receive, work))


def _selected(table: ReadableTable, query: ValuesQuery, max_points: int) -> HttpResponse:
    return BufferResponse.made(b"application/json", select(table, query, max_points))


@resource.declare(
    "GET",
    "/{digest}/plot.svg",
    scope="read",
    example=Example(_DIGEST, responses=()),
    errors=(404, 503),
    response_class=Response,
    responses={200: {"content": {SVG: {}}, "description": "the picture; it follows the reader's dark mode"}},
)
async def plot_svg(
    digest: Digest, query: Annotated[SvgQuery, Query()], request: Request, server: ServerDep
) -> Response:
    """A picture of the table as SVG, for a README or an issue. Caches may keep it for a day."""
    return await _picture(digest, query, request, server)


@resource.declare(
    "GET",
    "/{digest}/plot.png",
    scope="read",
    example=Example(_DIGEST, responses=()),
    errors=(404, 503),
    response_class=Response,
    responses={200: {"content": {PNG: {}}, "description": "the picture, with two pixels for each of its width"}},
)
async def plot_png(
    digest: Digest, query: Annotated[PngQuery, Query()], request: Request, server: ServerDep
) -> Response:
    """A picture of the table as PNG, for places that show no SVG. Caches may keep it for a day."""
    return await _picture(digest, query, request, server)


async def _picture(digest: str, query: PlotQuery, request: Request, server: ServerState) -> Response:
    if_none_match, known = header(request.scope, b"if-none-match"), server.pictures.unchanged(digest, query)
    if if_none_match and is_not_modified(if_none_match, known.etag) and await server.tables.exists(digest):
        return StarletteResponse(known)
    ready = await server.tables.get(digest)
    return StarletteResponse(await cancel_on_disconnect(request.receive, server.pictures.respond(ready, query)))


def _declare(item: Format) -> None:
    """Declare the route of a table in one format."""

    @resource.declare(
        "GET",
        f"/{{digest}}.{item.extension}",
        scope="read",
        example=Example(_DIGEST, responses=(item.media_type,) if item in TEXTS else ()),
        errors=(404,),
        name=f"table_{item.extension}",
        response_class=Response,
        responses={200: {"content": {item.media_type: {}}, "description": item.description}},
    )
    async def table_in_format(digest: Digest, request: Request, server: ServerDep) -> Response:
        """The table in this format."""
        return await _table(digest, item, request, server, varies=False)


for _item in FORMATS:
    _declare(_item)


@resource.declare(
    "GET",
    "/{digest}",
    scope="read",
    example=Example(_DIGEST, responses=tuple(item.media_type for item in TEXTS)),
    errors=(404, 406),
    response_class=Response,
    responses={200: {"content": {media_type: {} for media_type in MEDIA_TYPES}}},
)
async def table(digest: Digest, request: Request, server: ServerDep) -> Response:
    """The table in the format preferred by Accept; safetensors by default."""
    chosen = preferred(header(request.scope, b"accept").decode("latin-1"), MEDIA_TYPES)
    if chosen is None:
        raise NotAcceptableError(f"a table is served as {', '.join(MEDIA_TYPES)}")
    return await _table(digest, BY_MEDIA_TYPE[chosen], request, server, varies=True)


async def _table(digest: str, item: Format, request: Request, server: ServerState, *, varies: bool) -> Response:
    etag = item.etag(digest)
    if (unchanged := await _unchanged(digest, etag, request, server, varies=varies)) is not None:
        return unchanged
    ready = await server.tables.get(digest)
    if (response := ready.rendered.in_format(item, varies=varies)) is not None:
        return StarletteResponse(response)
    work = server.texts.respond(ready, item, varies=varies)
    return StarletteResponse(await cancel_on_disconnect(request.receive, work))


async def _unchanged(
    digest: str, etag: bytes, request: Request, server: ServerState, *, varies: bool = False
) -> Response | None:
    """Return a 304 if the client has the table already, without loading it; else None."""
    if_none_match = header(request.scope, b"if-none-match")
    if if_none_match and is_not_modified(if_none_match, etag) and await server.tables.exists(digest):
        return StarletteResponse(HttpResponse(b"", etag, varies=varies))
    return None
