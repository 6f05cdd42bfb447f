"""Request bodies with a table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.requests import Request

from scheduler import Table, TableError
from scheduler.table_format import LENGTH, MAX_HEADER, header_size
from service.concurrency.executors import Executors
from service.errors import (
    DeadlineExceededError,
    FieldError,
    InvalidRequestError,
    LimitExceededError,
    QueueFullError,
)
from service.http.body import check_media_type, pieces
from service.representations.formats import SAFETENSORS
from service.settings import Settings

MEDIA_TYPES = (SAFETENSORS.media_type, "application/octet-stream")
"""The accepted media types of a body."""

_SLOWEST = 2**18  # bytes per second: lowest rate at which the largest table may arrive


class Uploads:
    """Receives tables. All active uploads together may take as many bytes as two of the largest. Not thread-safe.

    A body counts while it arrives, so a stalled upload occupies only the bytes that it has sent.
    """

    def __init__(self, settings: Settings, executors: Executors) -> None:
        self._settings = settings
        self._executors = executors
        self._limit = settings.max_table_bytes + MAX_HEADER
        self._seconds = settings.body_seconds + self._limit / _SLOWEST
        self._held = 0

    @asynccontextmanager
    async def receive(self, request: Request, digest: str | None) -> AsyncIterator[Table]:
        """Yield the verified table in a request's body. Its memory counts as used until the `with` block ends.

        Raises `UnsupportedMediaTypeError`, `BodyTooLargeError`, `InvalidRequestError` if the body is no table, does not
        match its own digest or `digest`, `LimitExceededError`, `QueueFullError` if other uploads use the memory, and
        `DeadlineExceededError`.
        """
        check_media_type(request, MEDIA_TYPES, "a safetensors file")
        body = bytearray()
        try:
            await self._fill(body, request)
            yield await self._executors.storage(self._table, body, digest)
        finally:
            self._held -= len(body)

    async def _fill(self, body: bytearray, request: Request) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                async for piece in pieces(request, self._limit, "max_table_bytes and its header"):
                    self._take(len(piece))
                    body += piece
                    if len(body) - len(piece) < LENGTH.size <= len(body):
                        self._check_header(bytes(body[: LENGTH.size]))
        except TimeoutError as error:
            raise DeadlineExceededError(f"the body did not arrive within {self._seconds:.0f} s") from error

    def _take(self, nbytes: int) -> None:
        if self._held + nbytes > 2 * self._limit:
            raise QueueFullError(f"{self._held} bytes of tables are being received, of at most {2 * self._limit}")
        self._held += nbytes

    def _check_header(self, start: bytes) -> None:
        """Reject a header that is too long as soon as its length has arrived, before the rest is received."""
        with _refusing():
            header_size(memoryview(start), self._limit)

    def _table(self, body: bytearray, digest: str | None) -> Table:
        with _refusing():
            table = Table.from_bytes(memoryview(body).toreadonly())  # the body is complete
        if digest not in (None, table.digest):
            detail = f"the body must be the table {digest}, got the table {table.digest}"
            raise InvalidRequestError(detail, [FieldError(detail, parameter="digest", value=digest)])
        self._check(len(table.columns), "columns", self._settings.max_columns, "max_columns")
        self._check(table.total_steps, "steps", self._settings.max_steps, "max_steps")
        return table

    def _check(self, amount: int, what: str, limit: int, setting: str) -> None:
        if amount > limit:
            detail = f"a table must have at most {limit} {what} on this server ({setting}), got {amount}"
            raise LimitExceededError(detail, [FieldError(detail, pointer="", value=amount)])


@contextmanager
def _refusing() -> Iterator[None]:
    """Raise `InvalidRequestError` for a `TableError` in a `with` block."""
    try:
        yield
    except TableError as error:
        raise InvalidRequestError(f"the body is no table: {error}", [FieldError(str(error), pointer="")]) from error
