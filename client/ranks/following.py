"""A training that takes up the amendments of its run: on all ranks at the same step, by agreement."""

from __future__ import annotations

import json
import logging
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Self

from client.pinned_table import PinnedTable
from client.ranks.group import Group, group_of
from client.ranks.proof import check_equal, failures, gather
from client.ranks.watcher import Offer, Watcher
from client.runs.documents import run_name
from scheduler import ScheduleWarning, Table
from scheduler.texts import abbreviate

if TYPE_CHECKING:
    from client.lr_scheduler import TableLR

_LAST_REPORT = 2.0  # seconds that closing waits for it

_logger = logging.getLogger(__name__)


class Follower:
    """Lets a `TableLR` follow its run: made by `follow` on every rank, and called by `step` after each update.

    Every `every` calls the ranks agree, in one reduction of three numbers, whether rank 0 has a newer version. Then
    rank 0 sends its table, and each rank proves that it repeats every row applied so far. Only where all can take it
    up, all do, at this step. So the table comes over the network of the training: only rank 0 needs the service, and a
    rank that is slow or cut off from the service changes nothing.

    It holds the process group: `close` it, and let it go, before `destroy_process_group`.
    """

    def __init__(
        self, scheduler: TableLR, ranks: Group, watcher: Watcher | None, run: str, *, every: int, timeout: float
    ) -> None:
        self._scheduler = scheduler
        self._ranks = ranks
        self._watcher = watcher
        self._run = run
        self._every = every
        self._timeout = timeout
        self._calls = 0
        if watcher is not None:
            weakref.finalize(self, watcher.stop)

    def step(self) -> bool:
        """After `scheduler.step()`: every so many calls, agree. Returns whether a new table was taken up in this call.

        Raises `RanksDisagreeError` where the ranks are at different positions or versions.
        """
        self._calls += 1
        return self._calls % self._every == 0 and self._agree()

    def close(self) -> None:
        """Stop following; the table in force stays. The thread of rank 0 reports the position, and ends."""
        if self._watcher is not None:
            self._watcher.finish(self._scheduler.last_epoch)
            self._watcher.join(_LAST_REPORT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _agree(self) -> bool:
        scheduler = self._scheduler
        offer = self._watcher.offer(scheduler.last_epoch, scheduler.table.stride) if self._watcher else None
        place = [scheduler.last_epoch, scheduler.version or 0]
        least, most = self._ranks.extremes([*place, 0 if offer is None else offer.run.version])
        if least[:2] != most[:2]:
            places = gather(self._ranks, place, timeout=self._timeout)
            check_equal(f"in their position, in {scheduler.table.axis}s", [position for position, _ in places])
            check_equal(f"in their version of run {self._run}", [version for _, version in places])
        return most[2] > 0 and self._take_up(offer)

    def _take_up(self, offer: Offer | None) -> bool:
        """Take up what rank 0 offers, on all ranks or on none."""
        announced = None if offer is None else json.dumps([offer.run.version, offer.run.digest, offer.refusal]).encode()
        version, digest, problem = json.loads(bytes(self._broadcast(announced)))
        table = None
        if not problem:
            data = None if offer is None or offer.table is None else bytearray().join(offer.table.parts(claims=True))
            table, mine = self._received(self._broadcast(data), digest)
            problem = failures(gather(self._ranks, mine, timeout=self._timeout))
        is_taken_up = not problem and table is not None
        if self._watcher is not None:
            self._watcher.settle(version, is_taken_up=is_taken_up)
        where = f"at {self._scheduler.table.axis} {self._scheduler.last_epoch}"
        if problem or table is None:
            kept = self._scheduler.version or self._scheduler.table.digest
            message = f"version {version} of run {self._run} is not taken up {where}, and {kept} stays: {problem}"
            if self._watcher is not None:
                warnings.warn(message, ScheduleWarning, stacklevel=4)
            return False
        self._scheduler.replace_table(PinnedTable(table, run=self._run, version=version))
        if self._watcher is not None:
            _logger.info("version %d of run %s is in force from here, %s", version, self._run, where)
        return True

    def _broadcast(self, data: bytes | bytearray | None) -> memoryview:
        return self._ranks.broadcast(data, source=0, timeout=self._timeout)

    def _received(self, data: memoryview, digest: str) -> tuple[Table | None, str | None]:
        """The table that came, if this rank can take it up; else why not."""
        try:
            table = Table.from_bytes(data)
            self._scheduler.check_replacement(table)
        except Exception as error:  # a damaged table, one of other rows, one that does not fit: all others wait for us
            return None, str(error)
        return table, None if table.digest == digest else f"rank 0 sent table {table.digest} instead of {digest}"


def follow(
    scheduler: TableLR,
    client: Any,
    run: str | None = None,
    *,
    group: object = None,
    every: int = 50,
    report: bool = True,
    poll: float = 2.0,
    timeout: float = 60.0,
) -> Follower:
    """Follow a run while training: its amendments are taken up on all ranks at the same step. Every rank calls this.

    On rank 0 it starts the one background thread of the client: that asks for the run's newest version, gets its table,
    and reports the position of the training, so that the service refuses changes behind it. The training itself waits
    for no service: where it is away, the table in force stays.

    Any version that repeats every row applied so far is taken up, a rewind to a step ahead included. One that differs
    in such a row is reported by a `ScheduleWarning` of rank 0, with what to do. So is one whose table came too late.

    Args:
        scheduler: this rank's, at the same position on every rank.
        client: only rank 0's is used.
        run: the run's name; without it, the one that the scheduler's table came from.
        group: the processes, as for `share_table`.
        every: calls of `Follower.step` from one agreement to the next, 1 or more. An amendment must lie further ahead
            than this many steps, and the seconds of `poll`, or it comes too late: keep the run's `margin_steps` above.
        report: whether rank 0 reports the position, as worker `rank-0`.
        poll: seconds between two reports of rank 0's thread. It hears of changes at once, by the service's feed, and
            where that is not to be had asks for the run so often.
        timeout: seconds that the ranks wait for each other while a table is sent.
    """
    if type(every) is not int or every < 1:
        raise ValueError(f"every must be a whole number of steps from 1, got {abbreviate(every)}")
    if not poll > 0:
        raise ValueError(f"poll must be a number of seconds above 0, got {abbreviate(poll)}")
    name = scheduler.run if run is None else run
    if name is None:
        raise ValueError("run must be given: the scheduler's table came from no run (share_table gives one that did)")
    name = "/".join(run_name(name))
    ranks = group_of(group)
    worker = "rank-0" if report else None
    version = (scheduler.version or 0) if name == scheduler.run else 0
    watcher = None
    if ranks.rank == 0:
        watcher = Watcher(client, name, version, position=max(scheduler.last_epoch, 0), worker=worker, poll=poll)
    return Follower(scheduler, ranks, watcher, name, every=every, timeout=timeout)
