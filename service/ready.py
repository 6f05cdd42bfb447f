"""A table that is ready to be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scheduler import Table
from service.answer import InMemory
from service.formats import JSON, NPY, SAFETENSORS, Format, npy_parts
from service.manifest import Manifest, manifest_etag
from service.storage.store import Part


class ReadyTable:
    """A verified table in memory, with its manifest and the answers that need no more work.

    Args:
        table: the table.
        file: the bytes of its safetensors file as they are stored; they stay the same when a later version would
            write another header. Nothing of it is copied.
    """

    def __init__(self, table: Table, file: Sequence[Part]) -> None:
        self.table = table
        self.manifest = Manifest.of(table, sum(map(len, file)))
        bodies = {SAFETENSORS: file, NPY: npy_parts(table)}
        self._answers = {
            (item, varies): InMemory(item.content_type, item.etag(table.digest), parts, varies=varies)
            for item, parts in bodies.items()
            for varies in (False, True)
        }
        etag = manifest_etag(table.digest)
        self.manifest_answer = InMemory(JSON.content_type, etag, [self.manifest.to_bytes()])
        self.paths: Mapping[str, InMemory] = {
            "/manifest": self.manifest_answer,
            **{f".{item.extension}": self._answers[item, False] for item in bodies},
        }

    @property
    def nbytes(self) -> int:
        """What keeping it costs."""
        return self.table.nbytes

    def answer(self, item: Format, *, varies: bool) -> InMemory | None:
        """The answer in a format; None where it has to be written."""
        return self._answers.get((item, varies))
