"""Pictures of tables: drawn once, and kept in memory as long as there is room."""

from __future__ import annotations

import json
import zlib
from collections import OrderedDict
from hashlib import sha256

from typing_extensions import override

from scheduler.views.drawing.layout import drawing_of
from scheduler.views.drawing.png_image import PILLOW, png_image
from scheduler.views.drawing.svg_text import svg_text
from service.concurrency.executors import Executors
from service.concurrency.single_flight import SingleFlight
from service.errors import InvalidRequestError
from service.http.responses import BufferResponse, HttpResponse
from service.representations.plots.query import PlotQuery, PngQuery, SvgQuery
from service.representations.table_responses import TableResponses
from service.tables.entries import Entry
from service.tables.readable import ReadableTable
from service.tables.thinning import thinned

REVISION = 1
"""Which way of drawing this is: another number where the same table and query give another picture."""
_CAPACITY = 8 * 2**20  # bytes of the pictures that are kept
_MOST_PIXELS = 16_000_000  # of an image: 48 MB while it is drawn
_POINTS_PER_PIXEL = 1.4
_CACHING = b"max-age=86400, no-transform"
SVG, PNG = "image/svg+xml", "image/png"


class _Picture(BufferResponse):
    """A picture's response. Caches may keep it for a day: its values never change, and its looks hardly ever."""

    @override
    def caching(self, *, private: bool) -> bytes:
        return (b"private, " if private else b"public, ") + _CACHING


class Pictures:
    """Draws pictures of tables in a thread of its own, each once however many ask, and keeps the newest."""

    def __init__(self, executors: Executors) -> None:
        self._executors = executors
        self._drawing: SingleFlight[HttpResponse] = SingleFlight()
        self._kept: OrderedDict[bytes, HttpResponse] = OrderedDict()

    def unchanged(self, digest: str, query: PlotQuery) -> HttpResponse:
        """Return a response for a 304: the entity tag without a picture."""
        return _Picture(_media_type(query), etag(digest, query), [])

    async def respond(self, ready: Entry[TableResponses], query: PlotQuery) -> HttpResponse:
        """Return a table's picture. Raises `InvalidRequestError` for columns that it lacks, and `QueueFullError`."""
        tag = etag(ready.digest, query)
        response = self._kept.get(tag)
        if response is None:
            response, _ = await self._drawing.run(tag.decode(), lambda: self._draw(ready, query, tag))
            self._keep(tag, response)
        self._kept.move_to_end(tag)
        return response

    async def _draw(self, ready: Entry[TableResponses], query: PlotQuery, tag: bytes) -> HttpResponse:
        with ready.pin():
            body = await self._executors.draw(draw, ready.table, query)
        return _Picture(_media_type(query), tag, [body], sha256=sha256(body).digest())

    def _keep(self, tag: bytes, response: HttpResponse) -> None:
        self._kept[tag] = response
        while len(self._kept) > 1 and sum(kept.length for kept in self._kept.values()) > _CAPACITY:
            self._kept.popitem(last=False)


def draw(table: ReadableTable, query: PlotQuery) -> bytes:
    """Return the picture that a query asks for. It blocks while it reads a table in the store.

    Raises `InvalidRequestError` for columns that the table lacks.
    """
    columns = query.columns_of(table)
    pixels = query.width * (query.scale if isinstance(query, PngQuery) else 1)
    drawing = drawing_of(
        {"table": thinned(table, round(_POINTS_PER_PIXEL * pixels), columns)},
        title=f"table {table.digest[:12]}" if query.title is None else query.title,
        width=query.width,
        height=query.height,
        log=query.log,
    )
    if isinstance(query, PngQuery):
        _check_pixels(drawing.width * drawing.height, query.scale)
        return png_image(drawing, query.theme, scale=query.scale)
    return svg_text(drawing, query.theme if isinstance(query, SvgQuery) else "auto").encode()


def _check_pixels(size: int, scale: int) -> None:
    if size * scale**2 > _MOST_PIXELS:
        detail = f"scale must be lower for this size: an image has at most {_MOST_PIXELS:,} pixels, got {scale}"
        raise InvalidRequestError.of_parameter("scale", detail, scale)


def etag(digest: str, query: PlotQuery) -> bytes:
    """Return the strong entity tag: the table, the way of drawing, what is asked for, and what compresses an image."""
    is_image = isinstance(query, PngQuery)
    made_by = [PILLOW, zlib.ZLIB_RUNTIME_VERSION] if is_image else []
    asked = sha256(json.dumps([REVISION, made_by, query.model_dump()]).encode()).hexdigest()[:16]
    return f'"{digest}-{asked}.{"png" if is_image else "svg"}"'.encode()


def _media_type(query: PlotQuery) -> bytes:
    return (PNG if isinstance(query, PngQuery) else SVG).encode()
