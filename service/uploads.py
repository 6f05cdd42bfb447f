"""Tables that clients send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from scheduler import Table, TableError
from service.body import announced, check_media_type, read_up_to
from service.budget import Budget
from service.errors import FieldError, InvalidRequestError, LimitExceededError
from service.formats import SAFETENSORS
from service.settings import Settings
from service.threads import Threads

MEDIA_TYPES = (SAFETENSORS.media_type, "application/octet-stream")
"""What a body may say that it is."""

_HEADER_BYTES = 2**20  # of a file, beside its values


class Uploads:
    """Receives tables, as many at a time as twice the largest one has room for. It belongs to one event loop."""

    def __init__(self, settings: Settings, threads: Threads) -> None:
        self._settings = settings
        self._threads = threads
        self._limit = settings.max_table_bytes + _HEADER_BYTES
        self._memory = Budget(2 * self._limit)

    @asynccontextmanager
    async def receive(self, request: Request, digest: str | None) -> AsyncIterator[Table]:
        """The table in a request's body, verified, for a `with` block; its memory counts as taken until that ends.

        Raises `UnsupportedMediaTypeError`, `BodyTooLargeError`, `InvalidRequestError` where the body is no table with
        the digest that it claims, or not the table of this digest, and `LimitExceededError`.
        """
        check_media_type(request, MEDIA_TYPES, "a safetensors file")
        expected = announced(request)
        async with self._memory.lend(self._limit if expected is None else min(expected, self._limit)):
            body = await read_up_to(request, self._limit, "max_table_bytes and its header")
            yield await self._threads.disk(self._table, body, digest)

    def _table(self, body: bytearray, digest: str | None) -> Table:
        try:
            table = Table.from_bytes(body)
        except TableError as error:
            raise InvalidRequestError(f"the body is no table: {error}", [FieldError(str(error), pointer="")]) from error
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
