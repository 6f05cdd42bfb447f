"""Tables that are ready to be sent: verified, out of memory or out of the store, with manifest and answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from scheduler import Spec, Table
from service.answer import Answer, InMemory, Streamed
from service.formats import JSON, NPY, SAFETENSORS, Format, npy_header, npy_parts
from service.manifest import Manifest, manifest_etag
from service.storage.store import Part
from service.streamed import StoredBody, StoredTable
from service.threads import Threads

_OBJECTS = 12 * 2**10  # bytes of the objects that a table consists of, all answers given
_PER_CHARACTER = 14  # bytes of the objects that a character of a spec in JSON becomes


class Ready:
    """A table's manifest, and its answers that need no more work.

    `manifest` is JSON. `nbytes` is the memory that all of it takes, the objects around the values included: for a
    short table they are most of it.

    Args:
        table: the table.
        file_size: bytes of its safetensors file.
        answers: by format, and whether the address answers with other formats too.
    """

    def __init__(
        self, table: Table | StoredTable, file_size: int, answers: Mapping[tuple[Format, bool], Answer]
    ) -> None:
        self.digest = table.digest
        manifest = Manifest.of(table, file_size)
        self._spec_id = manifest.spec_id
        self.manifest = manifest.to_bytes()
        self._answers = answers
        self._borrowers = 0
        self.manifest_answer = InMemory(JSON.content_type, manifest_etag(table.digest), [self.manifest])
        self.paths: Mapping[str, Answer] = {
            "/manifest": self.manifest_answer,
            **{f".{item.extension}": answer for (item, varies), answer in answers.items() if not varies},
        }
        self.nbytes = _OBJECTS + _PER_CHARACTER * len(self.manifest)

    def described(self, spec: Spec) -> bytes:
        """The manifest in JSON, with this spec of the table as its spec."""
        if self._spec_id == spec.id:
            return self.manifest
        return Manifest.model_validate_json(self.manifest).for_spec(spec).to_bytes()

    @contextmanager
    def lend(self) -> Iterator[None]:
        """Count the table as lent for a `with` block, which uses its memory."""
        self._borrowers += 1
        try:
            yield
        finally:
            self._borrowers -= 1

    def answer(self, item: Format, *, varies: bool) -> Answer | None:
        """The answer in a format; None where it has to be written."""
        return self._answers.get((item, varies))


class ReadyTable(Ready):
    """A table in memory. Making it reads the file once per format, to take its SHA-256: not for the event loop.

    Args:
        table: the table.
        file: the bytes of its safetensors file as they are stored; they stay the same when a later version would
            write another header. Nothing of it is copied.
    """

    is_damaged = False  # what is in memory stays what it was

    def __init__(self, table: Table, file: Sequence[Part]) -> None:
        bodies = {SAFETENSORS: file, NPY: npy_parts(table)}
        answers = {
            (item, varies): InMemory(item.content_type, item.etag(table.digest), parts, varies=varies, sha256=sha256)
            for item, parts in bodies.items()
            for sha256 in [_sha256(parts)]
            for varies in (False, True)
        }
        super().__init__(table, sum(map(len, file)), answers)
        self.table = table
        self.nbytes += table.nbytes

    @property
    def is_lent(self) -> bool:
        """Whether the table is being sent, or written as text."""
        return self._borrowers > 0 or any(answer.sending for answer in self._answers.values())


class StreamedTable(Ready):
    """A table that is read from the store whenever it is sent: in memory are its manifest and its checks."""

    is_lent = False

    def __init__(self, table: StoredTable, threads: Threads) -> None:
        bodies = {
            SAFETENSORS: (StoredBody(table, threads), table.sha256),
            NPY: (StoredBody(table, threads, npy_header(table.frame), table.header_size), None),
        }
        answers = {
            (item, varies): Streamed(item.content_type, item.etag(table.digest), body, varies=varies, sha256=sha256)
            for item, (body, sha256) in bodies.items()
            for varies in (False, True)
        }
        super().__init__(table, table.size, answers)
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
