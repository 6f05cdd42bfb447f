"""The tables of this server: found, else computed once, stored, and served only if they are what their name says."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np

from scheduler import Spec, Table, TableError
from scheduler.literal import named_digests, resolve
from service.cache import TableCache
from service.errors import NotComputableError, TableLostError, TableNotFoundError
from service.flights import SingleFlight
from service.ready import ReadyTable
from service.records import Record, origin_key, read_record, spec_key, table_key
from service.storage.store import ObjectStore
from service.threads import Threads

_logger = logging.getLogger("lrtables")


@dataclass
class Counters:
    """What the service has done since it started."""

    computations: int = 0
    memory_hits: int = 0
    disk_loads: int = 0
    damaged: int = 0
    mismatches: int = 0


class TableService:
    """Tables by spec and by digest.

    The stored spec id -> digest is the truth: a computation that gives another digest is logged with both, counted,
    and never served in place of what is stored. An instance belongs to one event loop; what blocks runs in threads.
    """

    def __init__(self, store: ObjectStore, threads: Threads, memory_bytes: int) -> None:
        self.counters = Counters()
        self.cache = TableCache(memory_bytes)
        self._store = store
        self._threads = threads
        self._digests: dict[str, str] = {}
        self._by_spec: SingleFlight[tuple[ReadyTable, bool]] = SingleFlight()
        self._by_digest: SingleFlight[ReadyTable] = SingleFlight()

    @property
    def waits(self) -> int:
        """How many requests waited for work that another had begun."""
        return self._by_spec.waits + self._by_digest.waits

    def warm(self, digest: str) -> ReadyTable | None:
        """The table if it is in memory."""
        ready = self.cache.get(digest)
        self.counters.memory_hits += ready is not None
        return ready

    async def exists(self, digest: str) -> bool:
        """Whether there is such a table; it is not read."""
        return self.cache.get(digest) is not None or await self._threads.disk(self._store.exists, table_key(digest))

    async def get(self, digest: str) -> ReadyTable:
        """The table of this digest. Raises `TableNotFoundError` and `TableLostError`."""
        if (ready := self.warm(digest)) is not None:
            return ready
        ready, _ = await self._by_digest.run(digest, lambda: self._load(digest))
        return ready

    async def obtain(self, spec: Spec) -> tuple[ReadyTable, bool]:
        """The table of this spec, and whether this call was the one that made it.

        Raises `NotComputableError` where a value leaves the floats, `TableLostError` where the stored table is lost.
        """
        if (ready := self.warm(self._digests.get(spec.id, ""))) is not None:
            return ready, False
        (ready, made), leads = await self._by_spec.run(spec.id, lambda: self._find_or_make(spec))
        return ready, made and leads

    # -- by digest ----------------------------------------------------------------------------------------------------

    async def _load(self, digest: str) -> ReadyTable:
        ready = await self._threads.disk(self._read, digest)
        if ready is not None:
            self.counters.disk_loads += 1
            return self.cache.keep(ready)
        return await self._restore(digest)

    def _read(self, digest: str) -> ReadyTable | None:
        """The table from the store, verified; None where it is missing, or it was damaged and has been set aside."""
        key = table_key(digest)
        file = self._store.get(key)
        if file is None:
            return None
        try:
            table = Table.from_bytes(file)
            self._check(file, table, digest)
        except TableError as error:
            self.counters.damaged += 1
            _logger.error("the stored table %s is damaged (%s) and was set aside", digest, error)  # noqa: TRY400  # expected: no trace
            self._store.set_aside(key)
            return None
        return ReadyTable(table, [file])

    def _check(self, file: memoryview, table: Table, digest: str) -> None:
        """The values have the digest that the file claims; here the rest: that it is this table, its spec intact."""
        if table.digest != digest:
            raise TableError(f"it is the table {table.digest}")
        origin = read_record(self._store, origin_key(digest))
        header = bytes(file[: len(file) - table.nbytes])
        if origin is not None and (table.spec is None or not table.spec.id == origin.spec.id in header.decode()):
            raise TableError("its spec is not the one it was computed from")

    async def _restore(self, digest: str) -> ReadyTable:
        """Compute a missing or damaged table again, from the record of what it was first computed from."""
        origin = await self._threads.disk(read_record, self._store, origin_key(digest))
        if origin is None:
            raise TableNotFoundError(f"there is no table {digest}")
        table = await self._compute(origin.spec)
        if table.digest != digest:
            self._report_mismatch(origin.spec, digest, table.digest)
            raise TableLostError(f"the table {digest} was damaged, and this machine computes other values for its spec")
        return self.cache.keep(await self._threads.disk(self._write, table))

    # -- by spec ------------------------------------------------------------------------------------------------------

    async def _find_or_make(self, spec: Spec) -> tuple[ReadyTable, bool]:
        record = await self._threads.disk(read_record, self._store, spec_key(spec.id))
        made = record is None
        ready = await self._make(spec) if record is None else await self.get(record.digest)
        self._remember(spec, ready)
        return ready, made

    async def _make(self, spec: Spec) -> ReadyTable:
        table = await self._compute(spec)
        ready = await self._threads.disk(self._write, table)
        stored = await self._threads.disk(self._record, spec, ready.table)
        if stored != table.digest:
            self._report_mismatch(spec, stored, table.digest)
            return await self.get(stored)
        return self.cache.keep(ready)

    def _record(self, spec: Spec, table: Table) -> str:
        """Record what the stored table is from, and the spec's digest unless that is on record: which is returned."""
        self._store.put(origin_key(table.digest), [Record(table.spec or spec, table.digest).to_bytes()])
        if self._store.put(spec_key(spec.id), [Record(spec, table.digest).to_bytes()]):
            return table.digest
        stored = read_record(self._store, spec_key(spec.id))
        return stored.digest if stored is not None else table.digest

    def _remember(self, spec: Spec, ready: ReadyTable) -> None:
        if len(self._digests) >= _MOST_DIGESTS:
            self._digests.clear()
        self._digests[spec.id] = ready.table.digest

    def _report_mismatch(self, spec: Spec, stored: str, computed: str) -> None:
        self.counters.mismatches += 1
        _logger.error("spec %s: stored digest %s, computed digest %s; the stored one holds", spec.id, stored, computed)

    # -- both ---------------------------------------------------------------------------------------------------------

    async def _compute(self, spec: Spec) -> Table:
        try:
            named = {digest: (await self.get(digest)).table for digest in named_digests(spec.every_schedule())}
            resolve(spec.every_schedule(), named.__getitem__)
        except TableNotFoundError as error:
            raise NotComputableError(f"a Literal names a table that is not here: {error}") from error
        except KeyError as error:
            raise NotComputableError(f"a Literal names column {error} of a table that has no such column") from error
        self.counters.computations += 1
        return await self._threads.compute(_compute, spec)

    def _write(self, table: Table) -> ReadyTable:
        """Make the table durable. Where one with these values is there, from another spec, its file is served."""
        if self._store.put(table_key(table.digest), table.parts()):
            return ReadyTable(table, table.parts())
        ready = self._read(table.digest)
        return ready if ready is not None else self._write(table)


_MOST_DIGESTS = 100_000  # specs remembered: about 20 MB


def _compute(spec: Spec) -> Table:
    """The table, its digest taken."""
    try:
        with np.errstate(all="ignore"):  # what overflows is found, and named
            table = Table.compute(spec)
    except TableError as error:
        raise NotComputableError(str(error)) from error
    _ = table.digest
    return table


def counters(tables: TableService) -> dict[str, Any]:
    """What the service has done, as `/v1/server` tells it."""
    return {**vars(tables.counters), "waits": tables.waits}
