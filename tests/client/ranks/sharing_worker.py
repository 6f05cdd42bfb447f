"""One rank of a gloo job that goes through every way of sharing a table, and of failing to; it prints what happened."""

from __future__ import annotations

import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch.optim import SGD

from client.distributed import share_table
from client.lr_scheduler import TableLR
from client.pinned_table import PinnedTable
from client.ranks.group import group_of
from scheduler import Table
from tests.support.client.ranks import FolderService
from tests.support.client.tables import RATES, make_sgd, make_table
from tests.support.client.training import make_groups

RUN = "team/bert"
LAST = 2  # the rank that is another than the others


class Dying(FolderService):
    """A service whose client does not live to see the table."""

    def table(self, digest: str) -> Table:
        os._exit(7)


def scenarios(folder: Path, rank: int) -> dict[str, Callable[[], Any]]:
    """What each rank does, by name; all ranks go through them in this order."""
    service = FolderService(folder)
    is_last = rank == LAST
    changed = [*RATES]
    changed[7] = math.nextafter(changed[7], 1)
    named = [{**group, "name": name} for group, name in zip(make_groups(2), ("decay", "no_decay"), strict=True)]
    lonely = FolderService(folder.parent / "lonely") if is_last else service
    state = TableLR(make_sgd(), make_table(), start=3 if is_last else 4).state_dict()
    big = Table({"lr": [0.1 / (row + 1) for row in range(100_000)]})

    def extremes() -> list[list[int]]:
        return [*group_of(None).extremes([rank, -rank, 2**63 - 1, -(2**63)])]

    return {
        "rank0": lambda: share_table(service, RUN, optimizer=make_sgd()),
        "node": lambda: share_table(service, RUN, strategy="node"),
        "all": lambda: share_table(service, RUN, strategy="all"),
        "subgroup": lambda: share_table(service, RUN, group=dist.new_group([0, 1, 2])),
        "large": lambda: share_table(service, big),
        "ulp": lambda: share_table(service, make_table(changed if is_last else RATES)),
        "groups": lambda: share_table(service, RUN, optimizer=SGD(named[::-1] if is_last else named)),
        "position": lambda: share_table(service, checkpoint=state),
        "error of rank 0": lambda: share_table(service, "team/none"),
        "error of one rank": lambda: share_table(lonely, make_table().digest, strategy="all"),
        "extremes": extremes,
    }


def report(rank: int, name: str, work: Callable[[], Any]) -> None:
    """Do one thing, and print its outcome as a line of JSON."""
    try:
        found = work()
        outcome = (
            {"digest": found.digest, "version": found.version} if isinstance(found, PinnedTable) else {"value": found}
        )
    except Exception as error:
        outcome = {"error": type(error).__name__, "message": str(error), "at": traceback.format_exc()}
    print(json.dumps({"rank": rank, "name": name, **outcome}), flush=True)


def wait_for(marks: list[Path]) -> None:
    end = time.monotonic() + 60.0
    while not all(mark.exists() for mark in marks) and time.monotonic() < end:
        time.sleep(0.01)


def main() -> None:
    folder, dead = Path(sys.argv[1]), int(sys.argv[2])
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    rank = dist.get_rank()
    if dead != 0:
        for name, work in scenarios(folder, rank).items():
            report(rank, name, work)
    service = Dying(folder) if rank == dead else FolderService(folder)
    digest = make_table().digest
    report(rank, "death", lambda: share_table(service, digest, strategy="all", timeout=10.0))
    (folder / f"ended.{rank}").touch()
    if rank == 0:  # it has the group's store: gone too early, the others could not ask it who is missing
        wait_for([folder / f"ended.{each}" for each in range(dist.get_world_size()) if each != dead])
    os._exit(0)  # with a rank gone the group cannot be taken down in order


if __name__ == "__main__":
    main()
