"""Tables that are ready to be sent: verified, out of memory or out of the store, with manifest and answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from scheduler import Spec, Table
from service.concurrency.executors import Executors
from service.http.responses import BufferResponse, HttpResponse, StreamResponse
from service.representations.manifest import Manifest
from service.storage.store import Part
from service.tables.formats import JSON, NPY, SAFETENSORS, Format, npy_header, npy_parts
from service.tables.origins import Origin
from service.tables.readable import ReadableTable
from service.tables.stored import StoredBody, TableReader

_OBJECTS = 12 * 2**10  # bytes of the objects that a table consists of, all answers given
_PER_CHARACTER = 14  # bytes of the objects that a character of a spec in JSON becomes


class Entry:
    """A table's answers that need no more work, its manifest among them once `describe` was told where it is from.

    `manifest` is JSON. `nbytes` is the memory that all of it takes, the objects around the values included: for a
    short table they are most of it.

    Args:
        table: the table.
        answers: by format, and whether the address answers with other formats too.
    """

    def __init__(self, table: ReadableTable, answers: Mapping[tuple[Format, bool], HttpResponse]) -> None:
        self.digest = table.digest
        self.origin = Origin()
        self.manifest = b""
        self._manifest = Manifest.of(table, self.origin)
        self._answers = answers
        self._borrowers = 0
        self.paths: dict[str, HttpResponse] = {
            f".{item.extension}": answer for (item, varies), answer in answers.items() if not varies
        }
        self.nbytes = _OBJECTS + _PER_CHARACTER * len(self._manifest.to_bytes())

    @property
    def is_described(self) -> bool:
        """Whether the manifest is there, and says all that there is to say."""
        return self.origin.fact is not None

    def describe(self, origin: Origin) -> None:
        """Write the manifest with this origin. A claim may be replaced by a fact later; a fact is final."""
        self.origin = origin
        self.nbytes -= _PER_CHARACTER * len(self.manifest)
        self.manifest = self._manifest.of_origin(origin).to_bytes()
        self.nbytes += _PER_CHARACTER * len(self.manifest)
        if self.is_described:
            self.paths["/manifest"] = self.manifest_response()

    def manifest_response(self) -> HttpResponse:
        """The manifest as an answer; it lasts where it `is_described`."""
        return self.paths.get("/manifest") or BufferResponse.made(
            JSON.content_type, self.manifest, is_immutable=self.is_described
        )

    def described(self, spec: Spec) -> bytes:
        """The manifest in JSON, with this spec of the table as its spec."""
        if self.origin.fact is not None and self.origin.fact.spec_id == spec.id:
            return self.manifest
        return self._manifest.of_origin(self.origin).for_spec(spec).to_bytes()

    @contextmanager
    def pin(self) -> Iterator[None]:
        """Count the table as lent for a `with` block, which uses its memory."""
        self._borrowers += 1
        try:
            yield
        finally:
            self._borrowers -= 1

    def answer(self, item: Format, *, varies: bool) -> HttpResponse | None:
        """The answer in a format; None where it has to be written."""
        return self._answers.get((item, varies))


class MemoryEntry(Entry):
    """A table in memory. Making it reads the file once per format, to take its SHA-256: not for the event loop.

    No value is copied.
    """

    is_damaged = False  # what is in memory stays what it was

    def __init__(self, table: Table) -> None:
        bodies = {SAFETENSORS: table.parts(), NPY: npy_parts(table)}
        answers = {
            (item, varies): BufferResponse(
                item.content_type, item.etag(table.digest), parts, varies=varies, sha256=sha256
            )
            for item, parts in bodies.items()
            for sha256 in [_sha256(parts)]
            for varies in (False, True)
        }
        super().__init__(table, answers)
        self.table = table
        self.nbytes += table.nbytes

    @property
    def is_pinned(self) -> bool:
        """Whether the table is being sent, or written as text."""
        return self._borrowers > 0 or any(answer.sending for answer in self._answers.values())


class StreamedEntry(Entry):
    """A table that is read from the store whenever it is sent: in memory are its manifest and its checks."""

    is_pinned = False

    def __init__(self, table: TableReader, executors: Executors) -> None:
        bodies = {
            SAFETENSORS: (StoredBody(table, executors, table.header), table.sha256),
            NPY: (StoredBody(table, executors, npy_header(table.layout)), None),
        }
        answers = {
            (item, varies): StreamResponse(
                item.content_type, item.etag(table.digest), body, varies=varies, sha256=sha256
            )
            for item, (body, sha256) in bodies.items()
            for varies in (False, True)
        }
        super().__init__(table, answers)
        self.table = table
        self.nbytes += 100 * table.chunks  # about

    @property
    def is_damaged(self) -> bool:
        """Whether the file was found to have changed since it was verified: then this is of no use any more."""
        return self.table.is_damaged


def _sha256(parts: Sequence[Part]) -> bytes:
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(part)
    return hasher.digest()
