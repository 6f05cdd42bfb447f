"""One table for all processes of a job, proven equal on every one before step 0.

Under torchrun, srun, mpirun or any other launcher; with `torch.distributed`, or without torch through a shared folder:

    table = share_table(client, "team/bert-base-42", optimizer=optimizer)
    scheduler = TableLR(optimizer, table)

A job that is resumed gives the state of its scheduler, and gets the very table that the checkpoint names:

    table = share_table(client, "team/bert-base-42", optimizer=optimizer, checkpoint=saved["scheduler"])
    scheduler = TableLR(optimizer, table)
    scheduler.load_state_dict(saved["scheduler"])

A job that follows its run takes up amendments in flight, on all ranks at the same step:

    with follow(scheduler, client) as follower:
        for batch in data:
            ...
            optimizer.step()
            scheduler.step()
            follower.step()
"""

from __future__ import annotations

import socket
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from client.pinned_table import PinnedTable
from client.ranks.applied import RateCheck, check_applied_rates
from client.ranks.attempt import Attempt
from client.ranks.environment import local_rank
from client.ranks.file_group import FileGroup
from client.ranks.following import Follower, follow
from client.ranks.group import Alone, Group, group_of
from client.ranks.proof import check_equal, check_group_maps, check_tables, digest_in_memory, gather, group_map
from client.ranks.resolution import Checkpoint, Source, described
from client.ranks.sharing import Sharing, Strategy
from scheduler import ScheduleWarning, Table
from scheduler.numerics.progress import progress_index

__all__ = [
    "Alone",
    "FileGroup",
    "Follower",
    "Group",
    "RateCheck",
    "Strategy",
    "check_applied_rates",
    "follow",
    "share_table",
]


def share_table(
    client: Any,
    what: Source | Table | None = None,
    *,
    group: object = None,
    strategy: Strategy = "rank0",
    optimizer: Any = None,
    start: int = 0,
    checkpoint: Mapping[str, Any] | None = None,
    follow: bool = False,
    timeout: float = 300.0,
) -> PinnedTable:
    """The same table on every rank of a job, proven equal before step 0. Every rank calls this.

    Rank 0 resolves the run or the schedule, once, and tells the others its version and digest. Then every rank proves
    that its table (the values in its memory), its parameter groups and its start position are those of the others. Any
    difference stops every rank; the message names the ranks, and the first row that differs with both values.

    Args:
        client: where the table comes from. Only the ranks that the strategy names use it.
        what: a run's name (`namespace/name`), a table's digest, a schedule, one per parameter group, or a spec. A
            `Table` is one that each rank has already: nothing is fetched, and all are compared.
        group: the processes: None for all of `torch.distributed`, a torch process group, or a `FileGroup`.
        strategy: `rank0`: rank 0 gets the table and sends it to the others as bytes. `node`: the first rank of each
            machine gets it, and then the others of the machine, from the cache that they share. `all`: every rank gets
            it, at once.
        optimizer: the optimizer, or its list of parameter groups, to be compared: by the groups' names where each has
            one, else by the number of tensors and elements.
        start: the position that this rank will start from, in units of the table's axis.
        checkpoint: the state of the `TableLR` that this rank resumes. Its digest is the table's, whatever the run's
            head is now, and its position is the start. `what` may then be left out.
        follow: with a checkpoint: where the run has moved on, take its newest version, if that repeats every row before
            the checkpoint's position. Otherwise a moved run is only reported, by a `ScheduleWarning` of rank 0.
        timeout: seconds that a rank waits for the others, their fetching included.

    Raises, on every rank with the same message: `RanksDisagreeError` for a difference, `RankFailedError` where a rank
    could not get the table. Raises `RankTimeoutError` on the others where one does not come in time.
    """
    ranks = group_of(group)
    facts = Attempt("prepare", lambda: _facts(what, strategy, optimizer, start, checkpoint, follow=follow))
    known = gather(ranks, {"facts": facts.value, "error": facts.error}, timeout=timeout)
    facts.check([each["error"] for each in known])
    everyone = [each["facts"] for each in known]
    _check_facts(everyone)
    warning = ""
    if isinstance(what, Table):
        table, wanted, digest = PinnedTable(what), None, digest_in_memory(what)
    else:
        saved = None if checkpoint is None else Checkpoint.parse(checkpoint)
        sharing = Sharing(ranks, client, what, saved, timeout=timeout)
        table = sharing.table(strategy, _leaders([each["place"] for each in everyone]), follow=follow)
        wanted, digest, warning = sharing.digest, sharing.proven(table, strategy), sharing.warning
    digests = gather(ranks, digest, timeout=timeout)
    check_tables(ranks, table, digests, wanted, timeout=timeout)
    if warning:  # only now, because it may be raised as an error
        warnings.warn(warning, ScheduleWarning, stacklevel=2)
    return table


def _facts(
    what: Source | Table | None,
    strategy: Strategy,
    optimizer: Any,
    start: int,
    checkpoint: Mapping[str, Any] | None,
    *,
    follow: bool,
) -> dict[str, Any]:
    """What a rank brings to the comparison, as JSON data. Raises `ValueError` for what cannot be."""
    if strategy not in get_args(Strategy):
        raise ValueError(f"strategy must be one of {', '.join(get_args(Strategy))}, got {strategy!r}")
    saved = None if checkpoint is None else Checkpoint.parse(checkpoint)
    return {
        "what": described(what, saved),
        "strategy": strategy,
        "follow": follow,
        "checkpoint": None if saved is None else saved.digest,
        "start": progress_index(start, "start") if saved is None else saved.position,
        "groups": group_map(optimizer),
        "place": [socket.gethostname(), local_rank()],
    }


def _check_facts(facts: Sequence[Mapping[str, Any]]) -> None:
    """Raise `RanksDisagreeError` for the first fact in which the ranks differ."""
    check_equal("in what they ask for", [each["what"] for each in facts])
    check_equal("in their strategy", [each["strategy"] for each in facts])
    check_equal("in whether they follow the run", [each["follow"] for each in facts])
    check_equal("in the table of their checkpoint", [each["checkpoint"] for each in facts])
    check_equal("in their start position", [each["start"] for each in facts])
    check_group_maps([each["groups"] for each in facts])


def _leaders(places: Sequence[Sequence[Any]]) -> list[int]:
    """The rank of each machine that gets the table first: number 0 there, or else the first one with its name."""
    if all(local is not None for _, local in places):
        return [rank for rank, (_, local) in enumerate(places) if local == 0]
    hosts = [host for host, _ in places]
    return [rank for rank, host in enumerate(hosts) if hosts.index(host) == rank]
