"""The responses of a table: prepared once, and stored in its cache entry."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from scheduler import Spec, Table
from service.concurrency.executors import Executors
from service.concurrency.single_flight import SingleFlight
from service.http.responses import BufferResponse, HttpResponse, StreamResponse
from service.representations.formats import JSON, NPY, SAFETENSORS, TEXTS, Format
from service.representations.manifest import Manifest
from service.representations.table_bodies import StoredBody, TextBody, TextExtent
from service.storage.store import Part
from service.tables.entries import Entry
from service.tables.formats import TableText, npy_header, npy_parts
from service.tables.origins import Origin
from service.tables.readable import ReadableTable
from service.tables.stored import TableReader

_OBJECTS = 12 * 2**10  # bytes of the Python objects around a table, its responses included
_PER_BLOCK = 8  # bytes that the place of a block takes, of each text
_PER_CHARACTER = 14  # bytes of Python objects per character of a manifest in JSON


class TableResponses:
    """The prepared responses of a table. After `describe` with a fact, the manifest's response is one of them.

    `manifest` is the manifest's JSON. `paths` has responses by the part of their path after the digest: `.npy`,
    `/manifest`. `extents` has those of the texts that were sent before. `nbytes` is the memory that all of this takes,
    without the table's values.

    Args:
        table: the table.
        responses: by format, and whether the path also serves other formats, chosen by Accept.
    """

    def __init__(self, table: ReadableTable, responses: Mapping[tuple[Format, bool], HttpResponse]) -> None:
        self.manifest = b""
        self._origin = Origin()
        self._manifest = Manifest.of(table, self._origin)
        self._responses = responses
        self.paths: dict[str, HttpResponse] = {
            f".{item.extension}": response for (item, varies), response in responses.items() if not varies
        }
        self.extents: dict[Format, TextExtent] = {}
        blocks = sum(text(table).blocks for text in TEXTS.values())
        self.nbytes = _OBJECTS + _PER_BLOCK * blocks + _PER_CHARACTER * len(self._manifest.to_bytes())

    @property
    def is_sending(self) -> bool:
        """Whether a response is being sent."""
        return any(response.sending for response in self._responses.values())

    def describe(self, origin: Origin) -> None:
        """Prepare the manifest with this origin. A fact is final; a claim may be replaced later."""
        self._origin = origin
        self.nbytes -= _PER_CHARACTER * len(self.manifest)
        self.manifest = self._manifest.of_origin(origin).to_bytes()
        self.nbytes += _PER_CHARACTER * len(self.manifest)
        if origin.fact is not None:
            self.paths["/manifest"] = self.manifest_response()

    def manifest_response(self) -> HttpResponse:
        """Return the manifest's response, which is immutable if the origin is a fact."""
        return self.paths.get("/manifest") or BufferResponse.made(
            JSON.content_type, self.manifest, is_immutable=self._origin.fact is not None
        )

    def manifest_for(self, spec: Spec) -> bytes:
        """Return the manifest's JSON for this spec, which results in the same table as the first spec."""
        if self._origin.fact is not None and self._origin.fact.spec_id == spec.id:
            return self.manifest
        return self._manifest.of_origin(self._origin).for_spec(spec).to_bytes()

    def in_format(self, item: Format, *, varies: bool) -> HttpResponse | None:
        """Return the response in a format; None for a text, which a `TextResponder` writes for each response."""
        return self._responses.get((item, varies))


class TableResponder:
    """Prepares the responses of tables: the table service's renderer."""

    def __init__(self, executors: Executors) -> None:
        self._executors = executors

    def in_memory(self, table: Table) -> TableResponses:
        """Return the responses of a table in memory, without a copy of its values.

        It hashes each of the table's files, so it must run outside the event loop.
        """
        bodies = {SAFETENSORS: table.parts(), NPY: npy_parts(table)}
        responses = {
            (item, varies): BufferResponse(
                item.content_type, item.etag(table.digest), parts, varies=varies, sha256=sha256
            )
            for item, parts in bodies.items()
            for sha256 in [_sha256(parts)]
            for varies in (False, True)
        }
        return TableResponses(table, responses)

    def stored(self, table: TableReader) -> TableResponses:
        """Return the responses of a table in the store. They read its file while they are sent."""
        bodies = {
            SAFETENSORS: (StoredBody(table, self._executors, table.header), table.sha256),
            NPY: (StoredBody(table, self._executors, npy_header(table.layout)), None),
        }
        responses = {
            (item, varies): StreamResponse(
                item.content_type, item.etag(table.digest), body, varies=varies, sha256=sha256
            )
            for item, (body, sha256) in bodies.items()
            for varies in (False, True)
        }
        return TableResponses(table, responses)


class TextResponder:
    """Makes the responses of tables as text, of a known length and with ranges, without keeping the text.

    The first request for a text writes it once to learn its extent, which is kept with the table: later requests write
    only what they send. Concurrent first requests share that work, which ends when the last of them has left.
    """

    def __init__(self, executors: Executors) -> None:
        self._executors = executors
        self._extents: SingleFlight[TextExtent] = SingleFlight()

    async def respond(self, ready: Entry[TableResponses], item: Format, *, varies: bool) -> HttpResponse:
        """Return a table's response in a format that is text. Raises what writing it raises."""
        text = TEXTS[item](ready.table)
        extents = ready.rendered.extents
        if item not in extents:
            extents[item], _ = await self._extents.run(
                item.etag(ready.digest).decode(), lambda: self._extent(ready, text)
            )
        body = TextBody(text, extents[item], self._executors, ready.pin)
        return StreamResponse(
            item.content_type, item.etag(ready.digest), body, varies=varies, sha256=extents[item].sha256
        )

    async def _extent(self, ready: Entry[TableResponses], text: TableText) -> TextExtent:
        with ready.pin():
            return await TextExtent.of(text, self._executors)


def _sha256(parts: Sequence[Part]) -> bytes:
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(part)
    return hasher.digest()
