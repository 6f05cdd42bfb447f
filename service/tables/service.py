"""The table service: finds or computes each table once, stores it, and serves it only if it matches its digest."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from scheduler import Spec, Table
from scheduler.named_tables import named_digests
from service.concurrency.executors import Executors
from service.concurrency.single_flight import SingleFlight
from service.database.tables import PendingDeletionError, TableRecords
from service.errors import (
    InvalidRequestError,
    LimitExceededError,
    MalformedBodyError,
    NotComputableError,
    StorageError,
    TableLostError,
    TableNotFoundError,
)
from service.settings import Settings
from service.storage.store import ObjectStore
from service.tables.cache import TableCache
from service.tables.compute import Computations
from service.tables.entries import Entry, MemoryEntry, R, Renderer, StreamedEntry
from service.tables.listing import ListedTable, TableCursor, TableFilter, list_tables
from service.tables.origins import claim_of, origin_of, spec_of_claim
from service.tables.readable import ReadableTable
from service.tables.repository import TableFiles
from service.tables.specs import read_spec
from service.workers.pool import Workers

_logger = logging.getLogger("lrtables")
_TRIES = 3  # attempts to store a table while its file is being deleted
_MOST_DIGESTS = 100_000  # cached digests of specs: about 20 MB

T = TypeVar("T")


@dataclass
class Counters:
    """Counters since the service started."""

    memory_hits: int = 0
    loads: int = 0
    published: int = 0
    mismatches: int = 0


class TableService(Generic[R]):
    """Tables by spec and by digest.

    The first digest stored for a spec is authoritative. A computation with another digest is logged and counted, and
    its table is never served. Tables larger than `stream_bytes`, or without space in the cache, are streamed from the
    store. An instance belongs to one event loop; blocking calls run in threads.

    Args:
        store: the tables' files.
        records: the database's records of tables and specs.
        executors: the threads for blocking calls.
        workers: the processes that compute.
        settings: the limits.
        renderer: prepares data for each cached table, such as its responses.
    """

    def __init__(
        self,
        store: ObjectStore,
        records: TableRecords,
        executors: Executors,
        workers: Workers,
        settings: Settings,
        renderer: Renderer[R],
    ) -> None:
        self.counters = Counters()
        self.cache: TableCache[Entry[R]] = TableCache(settings.memory_bytes)
        self.computations = Computations(executors, workers, settings)
        self.files = TableFiles(store)
        self._records = records
        self._executors = executors
        self._settings = settings
        self._renderer = renderer
        self._digests: dict[str, str] = {}
        self._by_spec: SingleFlight[tuple[Entry[R], bool]] = SingleFlight()
        self._by_digest: SingleFlight[Entry[R]] = SingleFlight()

    @property
    def waits(self) -> int:
        """The number of requests that waited for the same work started by another request."""
        return self._by_spec.waits + self._by_digest.waits

    def cached(self, digest: str) -> Entry[R] | None:
        """Return the table if it is cached."""
        ready = self.cache.get(digest)
        if ready is not None and ready.is_damaged:
            self.cache.evict(digest)
            return None
        self.counters.memory_hits += ready is not None
        return ready

    def cached_for(self, spec: Spec) -> Entry[R] | None:
        """Return the table of this spec if it is cached with its final manifest."""
        ready = self.cached(self._digests.get(spec.id, ""))
        return ready if ready is not None and ready.is_described else None

    async def exists(self, digest: str) -> bool:
        """Return whether the table exists, without reading it."""
        return self.cache.get(digest) is not None or await self._executors.storage(self.files.size, digest) is not None

    async def get(self, digest: str) -> Entry[R]:
        """Return the table with this digest. Raises `TableNotFoundError` and `TableLostError`."""
        if (ready := self.cached(digest)) is not None:
            return ready
        ready, _ = await self._by_digest.run(digest, lambda: self._load(digest))
        return ready

    async def get_recorded(self, digest: str) -> Entry[R]:
        """Return the table with this digest, which has a row from now on: nothing deletes its file.

        Raises what `get` raises.
        """
        ready = await self.get(digest)
        if not await self._executors.database(self._records.has_table, digest):
            try:
                await self._executors.database(self._records.publish, digest, ready.table.nbytes, None)
            except PendingDeletionError as error:
                raise TableNotFoundError(f"there is no table {digest}: it has just been deleted") from error
            if await self._executors.storage(self.files.size, digest) is None:
                raise TableNotFoundError(f"there is no table {digest}: it has just been deleted")
        return ready

    async def describe(self, digest: str) -> Entry[R]:
        """Return the table with this digest, including its manifest. Raises what `get` raises."""
        return await self._described(await self.get(digest))

    async def obtain(self, spec: Spec) -> tuple[Entry[R], bool]:
        """Return the table of this spec, and whether this call computed it.

        Raises `NotComputableError` if a value overflows, `TableLostError` if the stored table is lost, and
        `QueueFullError` or `DeadlineExceededError` if it must be computed and the server is busy.
        """
        if (ready := self.cached_for(spec)) is not None:
            return ready, False
        (ready, made), leads = await self._by_spec.run(spec.id, lambda: self._find_or_make(spec))
        return ready, made and leads

    async def publish(self, table: Table) -> tuple[Entry[R], bool]:
        """Store a table by value, and return whether it is new.

        The origin in its file is stored as a claim: no spec leads to the table until this service has computed it.

        Raises `LimitExceededError` if the table exceeds `max_table_bytes`.
        """
        if table.nbytes > self._settings.max_table_bytes:
            limit = self._settings.max_table_bytes
            raise LimitExceededError(f"a table must have at most {limit} bytes of values (max_table_bytes)")
        claim = await self._executors.parse(claim_of, table, self._settings)
        new = await self._stored(table, partial(self._records.publish, table.digest, table.nbytes, claim))
        self.counters.published += new
        return await self._described(await self._cache_table(table)), new

    async def page(
        self, wanted: TableFilter, after: TableCursor | None, limit: int
    ) -> tuple[list[ListedTable], TableCursor | None]:
        """Return a page of the list of tables, and where the next one begins; None after the last page."""
        return await self._executors.database(list_tables, self._records, wanted, after, limit)

    # -- by digest ----------------------------------------------------------------------------------------------------

    async def _load(self, digest: str) -> Entry[R]:
        size = await self._executors.storage(self.files.size, digest)
        if size is not None and (ready := await self._read(digest, size)) is not None:
            self.counters.loads += 1
            return ready
        return await self._restore(digest)

    async def _read(self, digest: str, size: int) -> Entry[R] | None:
        async with self._reserve(size) as into_memory:
            ready = await self._executors.storage(self._entry, digest, into_memory=into_memory)
            return None if ready is None else self.cache.add(ready)

    def _entry(self, digest: str, *, into_memory: bool) -> Entry[R] | None:
        """Return a stored table as a cache entry. Blocks."""
        if into_memory:
            table = self.files.load(digest)
            return None if table is None else MemoryEntry(table, self._renderer)
        reader = self.files.open(digest)
        return None if reader is None else StreamedEntry(reader, self._renderer)

    @asynccontextmanager
    async def _reserve(self, nbytes: int) -> AsyncIterator[bool]:
        """Reserve memory for a table of this size, for a `with` block. Yield False if it must stay in the store."""
        into_memory = nbytes <= self._settings.stream_bytes and self.cache.reserve(nbytes)
        try:
            yield into_memory
        finally:
            self.cache.release(nbytes if into_memory else 0)

    async def _restore(self, digest: str, path: frozenset[str] = frozenset()) -> Entry[R]:
        """Compute a missing or damaged table again: from a spec from which it was computed here, else from a claim.

        Tables that it depends on are restored first. `path` holds the tables being restored, to find circles.
        """
        if digest in path:
            raise TableLostError(f"the table {digest} was damaged, and can only be computed from itself")
        facts = await self._executors.database(self._records.specs_of, digest)
        claim = await self._executors.database(self._records.claim, digest)
        if not facts and claim is None and not await self._executors.database(self._records.has_table, digest):
            raise TableNotFoundError(f"there is no table {digest}")
        reasons = []
        for spec, is_claim in [*((fact.spec, False) for fact in facts), (spec_of_claim(claim), True)]:
            try:
                if spec is not None:
                    return await self._recomputed(spec, digest, path, is_claim=is_claim)
            except TableLostError as error:
                reasons.append(error)
        if reasons:
            raise reasons[0]
        raise TableLostError(f"the table {digest} was damaged, and no spec of it is stored: publish it again")

    async def _recomputed(self, text: str, digest: str, path: frozenset[str], *, is_claim: bool = False) -> Entry[R]:
        """Compute a lost table again from a spec's JSON. Raises `TableLostError` if the digest differs.

        A claim that refers to other tables proves nothing, because one of them may be this very table.
        """
        try:
            spec = await self._executors.parse(read_spec, text.encode(), self._settings)
            if is_claim and named_digests(spec.every_schedule()):
                raise NotComputableError("its publisher's claim refers to other tables")
            async with self._computed(spec, path | {digest}) as table:
                if table.digest != digest:
                    raise self._mismatch(spec, digest, table.digest, is_claim=is_claim)
                await (self._record(spec, table) if is_claim else self._executors.storage(self.files.write, table))
                return await self._cache_table(table)
        except (MalformedBodyError, InvalidRequestError) as error:
            raise TableLostError(f"the table {digest} was damaged, and cannot be computed again: {error}") from error

    # -- by spec ------------------------------------------------------------------------------------------------------

    async def _find_or_make(self, spec: Spec) -> tuple[Entry[R], bool]:
        digest = await self._executors.database(self._records.digest_of, spec.id)
        ready = await self._make(spec) if digest is None else await self.get(digest)
        await self._described(ready)
        self._cache_digest(spec, ready)
        return ready, digest is None

    async def _make(self, spec: Spec) -> Entry[R]:
        async with self._computed(spec) as table:
            stored = await self._record(spec, table)
            if stored == table.digest:
                return await self._cache_table(table)
        self._report_mismatch(spec, stored, table.digest)
        return await self.get(stored)

    async def _record(self, spec: Spec, table: Table) -> str:
        """Store a computed table, record it for the spec, and return the authoritative digest of the spec."""
        provenance = json.dumps(dict(table.provenance))
        record = self._records.record
        return await self._stored(
            table, partial(record, spec.id, spec.model_dump_json(), table.digest, table.nbytes, provenance)
        )

    def _cache_digest(self, spec: Spec, ready: Entry[R]) -> None:
        if len(self._digests) >= _MOST_DIGESTS:
            self._digests.clear()
        self._digests[spec.id] = ready.digest

    def _report_mismatch(self, spec: Spec, stored: str, computed: str) -> None:
        self.counters.mismatches += 1
        _logger.error(
            "spec %s: stored digest %s, computed digest %s; the stored one is used", spec.id, stored, computed
        )

    def _mismatch(self, spec: Spec, stored: str, computed: str, *, is_claim: bool) -> TableLostError:
        if is_claim:
            return TableLostError(f"the table {stored} was damaged, and its publisher's claim gives another digest")
        self._report_mismatch(spec, stored, computed)
        return TableLostError(f"the table {stored} was damaged, and this machine computes other values for it")

    # -- both ---------------------------------------------------------------------------------------------------------

    def _computed(self, spec: Spec, path: frozenset[str] = frozenset()) -> AbstractAsyncContextManager[Table]:
        """Compute a spec's table, for a `with` block. Its memory counts as used until the block ends.

        `path` are the tables being restored that depend on this one.
        """
        return self.computations.run(spec, lambda digest: self._named(digest, path))

    async def _named(self, digest: str, path: frozenset[str]) -> ReadableTable:
        """Return a table that a Literal refers to. It is read from the store, not cached, as there may be many."""
        if (table := await self._executors.storage(self.files.open, digest)) is not None:
            return table
        try:  # not with `get`: tables that depend on each other would wait for each other forever
            await self._restore(digest, path)
        except TableNotFoundError as error:
            raise NotComputableError(f"a Literal refers to an unknown table: {error}") from error
        if (table := await self._executors.storage(self.files.open, digest)) is None:
            raise TableLostError(f"the table {digest} was damaged as soon as it was stored")
        return table

    async def _stored(self, table: Table, record: Callable[[], T]) -> T:
        """Write a table durably, then its row; repeat both if `gc` may have deleted the file in between.

        Once the row exists, nothing deletes the file. Before that, another server may have been told to write the file
        again and stopped before it did, so the file's existence is checked.
        """
        for _ in range(_TRIES):
            await self._executors.storage(self.files.write, table)
            with suppress(PendingDeletionError):
                found = await self._executors.database(record)
                if await self._executors.storage(self.files.size, table.digest) is not None:
                    return found
        raise StorageError(f"the file of the table {table.digest} was deleted {_TRIES} times while it was written")

    async def _described(self, ready: Entry[R]) -> Entry[R]:
        """Add the origin from the database to the entry's manifest, and return the entry."""
        if not ready.is_described:
            origin = await self._executors.database(origin_of, self._records, ready.digest)
            before = ready.nbytes
            ready.describe(origin)
            self.cache.resized(ready, before)
        return ready

    async def _cache_table(self, table: Table) -> Entry[R]:
        """Return a durable table as a cache entry."""
        if (cached := self.cached(table.digest)) is not None:
            return cached
        async with self._reserve(table.nbytes) as into_memory:
            if into_memory:
                return self.cache.add(await self._executors.storage(MemoryEntry, table, self._renderer))
        size = await self._executors.storage(self.files.size, table.digest)
        ready = None if size is None else await self._read(table.digest, size)
        if ready is None:
            raise TableLostError(f"the table {table.digest} was damaged as soon as it was stored")
        return ready


def counters(tables: TableService[Any]) -> dict[str, Any]:
    """Return the counters since the service started, by name."""
    return {
        **vars(tables.counters),
        "computations": tables.computations.started,
        "killed": tables.computations.killed,
        "lost": tables.computations.workers.lost,
        "damaged": tables.files.damaged,
        "waits": tables.waits,
    }
