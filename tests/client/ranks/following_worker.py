"""One rank of a gloo training that follows its run; it writes the rates it applied, and when it switched.

One rank is slow, and the last one cannot reach the service at all.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.nn  # before the process group is made: imported later, by DDP, it would keep the group alive
from torch.nn.parallel import DistributedDataParallel

from client import Client
from client.distributed import check_applied_rates, follow, share_table
from client.lr_scheduler import TableLR

SLOW, CUT_OFF = 1, 2  # ranks
NOWHERE = "http://127.0.0.1:9"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--steps", required=True, type=int)
    parser.add_argument("--hold", required=True, type=int, help="step at which to wait until the file `go` is there")
    parser.add_argument("--folder", required=True, type=Path)
    arguments = parser.parse_args()
    dist.init_process_group("gloo")
    train(arguments)  # all that holds the process group is gone when this returns
    dist.destroy_process_group()
    names = [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")]
    if any("gloo" in name for name in names):
        raise SystemExit(f"threads of gloo outlive the process group, and may abort the process at its end: {names}")


def train(arguments: argparse.Namespace) -> None:
    rank, folder = dist.get_rank(), arguments.folder
    torch.manual_seed(0)
    model = DistributedDataParallel(torch.nn.Linear(2, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    client = Client(NOWHERE if rank == CUT_OFF else arguments.url, refused_patience=0.1)
    scheduler = TableLR(optimizer, share_table(client, arguments.name, optimizer=optimizer))
    applied, switches = [], []
    with (
        follow(scheduler, client, every=10, poll=0.05) as follower,
        check_applied_rates(optimizer, every=10),
    ):
        for step in range(arguments.steps):
            model(torch.ones(1, 2)).square().mean().backward()
            applied.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            optimizer.zero_grad()
            scheduler.step()
            if follower.step():
                switches.append(step)
                (folder / f"switched.{rank}").touch()
            if rank == 0 and step == arguments.hold:
                (folder / "held").touch()
                while not (folder / "go").exists():
                    time.sleep(0.01)
            time.sleep(0.004 if rank == SLOW else 0.001)
    state = {"version": scheduler.version, "digest": scheduler.table.digest}
    (folder / f"rank.{rank}").write_text(json.dumps({"applied": applied, "switches": switches, **state}))
    client.close()


if __name__ == "__main__":
    main()
