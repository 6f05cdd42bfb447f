"""The tables of this server: found, else computed once, stored, and served only if they are what their name says."""

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
from service.tables.origins import claim_of, origin_of, spec_of_claim
from service.tables.readable import ReadableTable
from service.tables.repository import TableFiles
from service.tables.specs import read_spec
from service.workers.pool import Workers

_logger = logging.getLogger("lrtables")
_TRIES = 3  # to store a table whose file is being deleted; it is marked for deletion anew before each
_MOST_DIGESTS = 100_000  # specs remembered: about 20 MB

T = TypeVar("T")


@dataclass
class Counters:
    """What the service has done since it started."""

    memory_hits: int = 0
    loads: int = 0
    published: int = 0
    mismatches: int = 0


class TableService(Generic[R]):
    """Tables by spec and by digest.

    The stored spec id -> digest is the truth: a computation that gives another digest is logged with both, counted,
    and never served in place of what is stored. Tables that are larger than `stream_bytes`, or find no room in memory,
    are sent from the store. An instance belongs to one event loop; what blocks runs in threads.

    Args:
        store: of the tables' files.
        records: which tables there are, and what they were computed from.
        executors: in whose threads store and records are asked.
        workers: that compute.
        settings: the limits.
        renderer: prepares what is kept with each table, such as its responses.
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
        """How many requests waited for work that another had begun."""
        return self._by_spec.waits + self._by_digest.waits

    def cached(self, digest: str) -> Entry[R] | None:
        """The table if it is ready to be sent."""
        ready = self.cache.get(digest)
        if ready is not None and ready.is_damaged:
            self.cache.evict(digest)
            return None
        self.counters.memory_hits += ready is not None
        return ready

    def cached_for(self, spec: Spec) -> Entry[R] | None:
        """The table of this spec if it is ready to be sent, its manifest too."""
        ready = self.cached(self._digests.get(spec.id, ""))
        return ready if ready is not None and ready.is_described else None

    async def exists(self, digest: str) -> bool:
        """Whether there is such a table; it is not read."""
        return self.cache.get(digest) is not None or await self._executors.storage(self.files.size, digest) is not None

    async def get(self, digest: str) -> Entry[R]:
        """The table of this digest. Raises `TableNotFoundError` and `TableLostError`."""
        if (ready := self.cached(digest)) is not None:
            return ready
        ready, _ = await self._by_digest.run(digest, lambda: self._load(digest))
        return ready

    async def describe(self, digest: str) -> Entry[R]:
        """The table of this digest, with its manifest. Raises what `get` raises."""
        return await self._described(await self.get(digest))

    async def obtain(self, spec: Spec) -> tuple[Entry[R], bool]:
        """The table of this spec, and whether this call was the one that made it.

        Raises `NotComputableError` where a value leaves the floats, `TableLostError` where the stored table is lost,
        `QueueFullError` and `DeadlineExceededError` where it has to be computed and there is no time.
        """
        if (ready := self.cached_for(spec)) is not None:
            return ready, False
        (ready, made), leads = await self._by_spec.run(spec.id, lambda: self._find_or_make(spec))
        return ready, made and leads

    async def publish(self, table: Table) -> tuple[Entry[R], bool]:
        """Store a table by value, and whether it is new here. No spec is said to have it: only computing says that.

        What its file says of it is kept as a claim.

        Raises `LimitExceededError` where it is larger than this server computes.
        """
        if table.nbytes > self._settings.max_table_bytes:
            limit = self._settings.max_table_bytes
            raise LimitExceededError(f"a table must have at most {limit} bytes of values (max_table_bytes)")
        claim = await self._executors.parse(claim_of, table, self._settings)
        new = await self._stored(table, partial(self._records.publish, table.digest, table.nbytes, claim))
        self.counters.published += new
        return await self._described(await self._keep(table)), new

    # -- by digest ----------------------------------------------------------------------------------------------------

    async def _load(self, digest: str) -> Entry[R]:
        size = await self._executors.storage(self.files.size, digest)
        if size is not None and (ready := await self._read(digest, size)) is not None:
            self.counters.loads += 1
            return ready
        return await self._restore(digest)

    async def _read(self, digest: str, size: int) -> Entry[R] | None:
        async with self._room(size) as into_memory:
            ready = await self._executors.storage(self._entry, digest, into_memory=into_memory)
            return None if ready is None else self.cache.add(ready)

    def _entry(self, digest: str, *, into_memory: bool) -> Entry[R] | None:
        """A stored table, ready to be sent. It blocks."""
        if into_memory:
            table = self.files.load(digest)
            return None if table is None else MemoryEntry(table, self._renderer)
        reader = self.files.open(digest)
        return None if reader is None else StreamedEntry(reader, self._renderer)

    @asynccontextmanager
    async def _room(self, nbytes: int) -> AsyncIterator[bool]:
        """Whether a table of this size has its place in memory, which is held for it meanwhile."""
        into_memory = nbytes <= self._settings.stream_bytes and self.cache.reserve(nbytes)
        try:
            yield into_memory
        finally:
            self.cache.release(nbytes if into_memory else 0)

    async def _restore(self, digest: str, path: frozenset[str] = frozenset()) -> Entry[R]:
        """Compute a missing or damaged table again: from any spec that it was computed from here, else from a claim.

        Tables that this takes are restored too, unless they take this one: they are in the `path`.
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
        raise TableLostError(f"the table {digest} was damaged, and nothing says what it was computed from")

    async def _recomputed(self, text: str, digest: str, path: frozenset[str], *, is_claim: bool = False) -> Entry[R]:
        """The lost table, computed again from a spec's JSON. Raises `TableLostError` where that does not give it.

        A claim that names tables proves nothing: one of them may be the table itself.
        """
        try:
            spec = await self._executors.parse(read_spec, text.encode(), self._settings)
            if is_claim and named_digests(spec.every_schedule()):
                raise NotComputableError("what its publisher says of it names other tables")
            async with self._computed(spec, path | {digest}) as table:
                if table.digest != digest:
                    raise self._mismatch(spec, digest, table.digest, is_claim=is_claim)
                await (self._record(spec, table) if is_claim else self._executors.storage(self.files.write, table))
                return await self._keep(table)
        except (MalformedBodyError, InvalidRequestError) as error:
            raise TableLostError(f"the table {digest} was damaged, and cannot be computed again: {error}") from error

    # -- by spec ------------------------------------------------------------------------------------------------------

    async def _find_or_make(self, spec: Spec) -> tuple[Entry[R], bool]:
        digest = await self._executors.database(self._records.digest_of, spec.id)
        ready = await self._make(spec) if digest is None else await self.get(digest)
        await self._described(ready)
        self._remember(spec, ready)
        return ready, digest is None

    async def _make(self, spec: Spec) -> Entry[R]:
        async with self._computed(spec) as table:
            stored = await self._record(spec, table)
            if stored == table.digest:
                return await self._keep(table)
        self._report_mismatch(spec, stored, table.digest)
        return await self.get(stored)

    async def _record(self, spec: Spec, table: Table) -> str:
        """Store a table that was computed here, and keep that the spec has it; the digest that holds for the spec."""
        said = json.dumps(dict(table.provenance))
        record = self._records.record
        return await self._stored(
            table, partial(record, spec.id, spec.model_dump_json(), table.digest, table.nbytes, said)
        )

    def _remember(self, spec: Spec, ready: Entry[R]) -> None:
        if len(self._digests) >= _MOST_DIGESTS:
            self._digests.clear()
        self._digests[spec.id] = ready.digest

    def _report_mismatch(self, spec: Spec, stored: str, computed: str) -> None:
        self.counters.mismatches += 1
        _logger.error("spec %s: stored digest %s, computed digest %s; the stored one holds", spec.id, stored, computed)

    def _mismatch(self, spec: Spec, stored: str, computed: str, *, is_claim: bool) -> TableLostError:
        if is_claim:
            return TableLostError(f"the table {stored} was damaged, and what its publisher says of it is not true")
        self._report_mismatch(spec, stored, computed)
        return TableLostError(f"the table {stored} was damaged, and this machine computes other values for it")

    # -- both ---------------------------------------------------------------------------------------------------------

    def _computed(self, spec: Spec, path: frozenset[str] = frozenset()) -> AbstractAsyncContextManager[Table]:
        """The table of a spec, newly computed; its memory counts as taken until the block ends.

        `path` are the tables that are being restored, and cannot be until this one is.
        """
        return self.computations.run(spec, lambda digest: self._named(digest, path))

    async def _named(self, digest: str, path: frozenset[str]) -> ReadableTable:
        """A table that a Literal names: read from the store, as there may be many; computed again where it is lost."""
        if (table := await self._executors.storage(self.files.open, digest)) is not None:
            return table
        try:  # not by `get`: tables that are made of each other would wait for each other's flights
            await self._restore(digest, path)
        except TableNotFoundError as error:
            raise NotComputableError(f"a Literal names a table that is not here: {error}") from error
        if (table := await self._executors.storage(self.files.open, digest)) is None:
            raise TableLostError(f"the table {digest} was damaged as soon as it was stored")
        return table

    async def _stored(self, table: Table, record: Callable[[], T]) -> T:
        """Make a table durable, then its row; both again where `gc` may have removed the file in between.

        Once the row is there nothing removes the file. Before, another server may have been told of the removal, and
        gone before it had written the file again: so it is looked for.
        """
        for _ in range(_TRIES):
            await self._executors.storage(self.files.write, table)
            with suppress(PendingDeletionError):
                found = await self._executors.database(record)
                if await self._executors.storage(self.files.size, table.digest) is not None:
                    return found
        raise StorageError(f"the file of the table {table.digest} was being removed whenever it was written")

    async def _described(self, ready: Entry[R]) -> Entry[R]:
        """The same table, its manifest completed with its origin from the database."""
        if not ready.is_described:
            origin = await self._executors.database(origin_of, self._records, ready.digest)
            before = ready.nbytes
            ready.describe(origin)
            self.cache.resized(ready, before)
        return ready

    async def _keep(self, table: Table) -> Entry[R]:
        """A durable table, ready to be sent."""
        if (cached_for := self.cached(table.digest)) is not None:
            return cached_for
        async with self._room(table.nbytes) as into_memory:
            if into_memory:
                return self.cache.add(await self._executors.storage(MemoryEntry, table, self._renderer))
        size = await self._executors.storage(self.files.size, table.digest)
        ready = None if size is None else await self._read(table.digest, size)
        if ready is None:
            raise TableLostError(f"the table {table.digest} was damaged as soon as it was stored")
        return ready


def counters(tables: TableService[Any]) -> dict[str, Any]:
    """What the service has done since it started, by name."""
    return {
        **vars(tables.counters),
        "computations": tables.computations.started,
        "killed": tables.computations.killed,
        "lost": tables.computations.workers.lost,
        "damaged": tables.files.damaged,
        "waits": tables.waits,
    }
