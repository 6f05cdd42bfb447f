"""The parts of a running server."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from service.concurrency.executors import Executors
from service.database.metadata import Metadata
from service.http.body import Bodies
from service.observability.metrics import Metrics, Readings
from service.representations.plots.pictures import Pictures
from service.representations.specs import SpecReader
from service.representations.table_responses import TableResponses, TextResponder
from service.representations.uploads import Uploads
from service.runs.amendments import AmendmentService
from service.runs.feed import ChangeFeed
from service.runs.progress import ProgressService
from service.runs.proposals import ProposalService
from service.runs.service import RunService
from service.settings import Settings
from service.storage.store import ObjectStore
from service.tables.service import TableService


@dataclass
class ServerState:
    """The parts of a running server, and whether it is draining: it is stopping, and finishes its active requests."""

    settings: Settings
    store: ObjectStore
    metadata: Metadata
    executors: Executors
    bodies: Bodies
    specs: SpecReader
    tables: TableService[TableResponses]
    texts: TextResponder
    pictures: Pictures
    runs: RunService
    amendments: AmendmentService
    proposals: ProposalService
    progress: ProgressService
    uploads: Uploads
    feed: ChangeFeed
    metrics: Metrics
    connections_closed: Counter[str]
    draining: bool = False

    def readings(self) -> Readings:
        """Return the current counters of the parts. Call it in the event loop, to which they belong."""
        tables = self.tables
        return Readings(
            cache_hits=tables.counters.memory_hits,
            cache_bytes=tables.cache.nbytes,
            cache_capacity_bytes=tables.cache.capacity,
            table_loads=tables.counters.loads,
            tables_published=tables.counters.published,
            computations=tables.computations.started,
            computations_killed=tables.computations.killed,
            workers_lost=tables.computations.workers.lost,
            computation_running_seconds=tables.computations.longest,
            computations_ended=tables.computations.ended,
            computation_seconds=tables.computations.seconds,
            queue_depth=tables.computations.depth,
            single_flight_waits=tables.waits,
            determinism_mismatch=tables.counters.mismatches,
            damaged={"table": tables.files.damaged, "row": self.metadata.damaged_rows},
            store_errors=dict(self.executors.errors),
            connections_closed=dict(self.connections_closed),
            feed_waiting=self.feed.waiting,
        )
