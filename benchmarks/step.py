"""The cost of a scheduler per training step, side by side: `python benchmarks/step.py [--steps N] [--rounds N]`.

Each way applies the rates of one cosine schedule to an optimizer with 1, 8 and 100 parameter groups. The ways take
turns, round after round, and the shortest time is printed: nanoseconds per step, and how many times the plain loop
over a list that is. The optimizer's own work is left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler

from client.lr_scheduler import TableLR
from client.plain_loop import set_lr
from scheduler import Table
from scheduler.custom import WarmupWithDecay

GROUPS = (1, 8, 100)
Run = Callable[[torch.optim.Optimizer, int], None]


def make_optimizer(groups: int) -> torch.optim.Optimizer:
    """An optimizer of tiny groups that has stepped once, so that no scheduler complains about the order of calls."""
    parameters = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(groups)]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    optimizer.step()
    return optimizer


def make_table(steps: int, *, constant: bool = False) -> Table:
    """The rates for all steps and a few more."""
    values = WarmupWithDecay(0.1, steps // 10, 2 * steps).values(2 * steps)
    return Table({"lr": [0.1] * len(values) if constant else values})


def with_scheduler(make: Callable[[torch.optim.Optimizer], LRScheduler]) -> Run:
    """The way of a torch scheduler: its step() in a loop. It must have been stepped before it is timed."""

    def run(optimizer: torch.optim.Optimizer, steps: int) -> None:
        scheduler = make(optimizer)
        optimizer.step()
        scheduler.step()
        step = scheduler.step
        begin_clock()
        for _ in range(steps):
            step()

    return run


def ways(steps: int) -> dict[str, Run]:
    """Every way to compare, by its name; the first is the measure of the others."""
    table, constant = make_table(steps), make_table(steps, constant=True)
    rates: list[float] = table.lr.tolist()

    def list_loop(optimizer: torch.optim.Optimizer, steps: int) -> None:
        groups = optimizer.param_groups
        begin_clock()
        for step in range(steps):
            lr = rates[step]
            for group in groups:
                group["lr"] = lr

    def table_loop(optimizer: torch.optim.Optimizer, steps: int) -> None:
        groups = optimizer.param_groups
        begin_clock()
        for step in range(steps):
            lr = table.get_lr(step)
            for group in groups:
                group["lr"] = lr

    def set_lr_loop(optimizer: torch.optim.Optimizer, steps: int) -> None:
        begin_clock()
        for step in range(steps):
            set_lr(optimizer, table.get_lr(step))

    return {
        "plain loop over a list": list_loop,
        "table.get_lr loop": table_loop,
        "set_lr(table.get_lr) loop": set_lr_loop,
        "TableLR.step": with_scheduler(lambda optimizer: TableLR(optimizer, table)),
        "TableLR.step, rate unchanged": with_scheduler(lambda optimizer: TableLR(optimizer, constant)),
        "CosineAnnealingLR.step": with_scheduler(lambda optimizer: CosineAnnealingLR(optimizer, T_max=steps)),
        "LambdaLR.step over a list": with_scheduler(lambda optimizer: LambdaLR(optimizer, rates.__getitem__)),
    }


started = 0


def begin_clock() -> None:
    """Start timing: what was made until now is not part of it."""
    global started  # one clock for the one run under way
    started = time.perf_counter_ns()


def measure(runs: Iterable[Run], groups: int, steps: int, rounds: int) -> list[float]:
    """The shortest time per step of each way, in nanoseconds."""
    times: list[list[float]] = []
    for _ in range(rounds):
        times.append([])
        for run in runs:
            run(make_optimizer(groups), steps)
            times[-1].append((time.perf_counter_ns() - started) / steps)
    return [min(each) for each in zip(*times, strict=True)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2_000, help="steps of each run (2000)")
    parser.add_argument("--rounds", type=int, default=25, help="times that each way is run (25)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    compared = ways(arguments.steps)
    results = {
        groups: measure(compared.values(), groups, max(arguments.steps // groups, 100), arguments.rounds)
        for groups in GROUPS
    }
    print(f"{'ns per step (times the plain loop)':<36}" + "".join(f"{f'groups: {n}':>18}" for n in GROUPS))
    for index, name in enumerate(compared):
        cells = (f"{row[index]:.0f} ({row[index] / row[0]:.2f})" for row in results.values())
        print(f"{name:<36}" + "".join(f"{cell:>18}" for cell in cells))


if __name__ == "__main__":
    main()
