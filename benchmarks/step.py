"""The cost of a scheduler per training step, side by side: `python benchmarks/step.py [--steps N] [--rounds N]`.

Each way applies the rates of one cosine schedule to an optimizer with 1, 8 and 300 parameter groups. The ways take
turns, round after round, and the shortest time is printed: nanoseconds per step, and how many times the plain loop
over a list that is. `one call without checks` is the least that a function costs which looks up a number and writes
it: nothing that is called once a step is faster. What `bind_table` adds are its checks: that the step is a whole number
and not negative, and that no group holds a tensor.

The optimizer's own work is left out: before each `TableLR.step` the mark is set that its hook leaves after an update.
What the two hooks cost an update is printed, too: a step of an optimizer that does nothing but call its hooks, with a
TableLR on it and without.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler

from benchmarks.goals import Goal
from client.lr_scheduler import TableLR
from client.optimizer.updates import MADE, NONE
from client.plain_loop import bind_table, set_lr
from scheduler import Table
from scheduler.custom import WarmupWithDecay

GROUPS = (1, 8, 300)
_WARM_UP = 100  # calls of a new function, until the interpreter has specialized its code; a training makes many more
Run = Callable[[torch.optim.Optimizer, int], object]
"""Times the steps of one way, and returns what it has made for them, whose end is not to be timed."""
PLAIN, FLOOR = "plain loop over a list", "one call without checks"
SET_LR, BOUND = "set_lr(table.get_lr) loop", "bind_table loop"
TABLE, CONSTANT, COSINE = "TableLR.step", "TableLR.step, rate unchanged", "CosineAnnealingLR.step"


class DoingNothing(torch.optim.Optimizer):
    """Calls its step hooks, and does nothing else: not even what torch does around a step, for its profiler."""

    def step(self, closure: object = None) -> None:  # type: ignore[override]  # torch overloads it
        """Call the hooks."""
        for before in self._optimizer_step_pre_hooks.values():
            before(self, (), {})
        for after in self._optimizer_step_post_hooks.values():
            after(self, (), {})

    step.hooked = True  # type: ignore[attr-defined]  # torch then leaves it as it is


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

    def run(optimizer: torch.optim.Optimizer, steps: int) -> LRScheduler:
        scheduler = make(optimizer)
        optimizer.step()
        scheduler.step()
        step = scheduler.step
        begin_clock()
        for _ in range(steps):
            step()
        return scheduler

    return run


def with_table(table: Table) -> Run:
    """The way of a TableLR, whose optimizer has made an update before each step()."""

    def run(optimizer: torch.optim.Optimizer, steps: int) -> LRScheduler:
        scheduler = TableLR(optimizer, table)
        optimizer.step()
        scheduler.step()
        step, updates = scheduler.step, scheduler._updates
        begin_clock()
        for _ in range(steps):
            updates.mark = MADE
            step()
        return scheduler

    return run


def hooks_cost(steps: int, rounds: int, *, tensor: bool) -> float:
    """What the two hooks of a TableLR cost an update, in nanoseconds: the shortest with them less that without."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(rounds):
        for watched in times:
            lr = torch.tensor(0.1) if tensor else 0.1
            optimizer = DoingNothing([torch.nn.Parameter(torch.zeros(1))], {"lr": lr})
            scheduler = TableLR(optimizer, make_table(steps))
            updates = scheduler._updates
            if not watched:
                updates.close()
            step = type(optimizer).step
            begin_clock()
            for _ in range(steps):
                step(optimizer)
                updates.mark = NONE
            times[watched].append((time.perf_counter_ns() - started) / steps)
    return min(times[True]) - min(times[False])


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

    def bound_loop(optimizer: torch.optim.Optimizer, steps: int) -> object:
        apply_row = bind_table(optimizer, table)
        for step in range(_WARM_UP):
            apply_row(step)
        begin_clock()
        for step in range(steps):
            apply_row(step)
        return apply_row

    def floor_loop(optimizer: torch.optim.Optimizer, steps: int) -> None:
        def apply_row(step: int) -> None:
            lr = rates[step]
            for group in optimizer.param_groups:
                group["lr"] = lr

        for step in range(_WARM_UP):
            apply_row(step)
        begin_clock()
        for step in range(steps):
            apply_row(step)

    return {
        PLAIN: list_loop,
        FLOOR: floor_loop,
        BOUND: bound_loop,
        "table.get_lr loop": table_loop,
        SET_LR: set_lr_loop,
        TABLE: with_table(table),
        CONSTANT: with_table(constant),
        COSINE: with_scheduler(lambda optimizer: CosineAnnealingLR(optimizer, T_max=steps)),
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
            optimizer = make_optimizer(groups)
            made = run(optimizer, steps)
            times[-1].append((time.perf_counter_ns() - started) / steps)
            del made
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
    for kind, tensor in (("a float", False), ("a tensor", True)):
        cost = hooks_cost(arguments.steps, arguments.rounds, tensor=tensor)
        print(f"the two hooks of an update, rate {kind:<9}{cost:9.0f} ns")
    print("\ngoals")
    for goal in goals({n: dict(zip(compared, row, strict=True)) for n, row in results.items()}):
        print(goal)


def goals(times: dict[int, dict[str, float]]) -> list[Goal]:
    """What the figures should be, from the times per step by groups and way."""
    found = [
        Goal(f"CosineAnnealingLR.step over TableLR.step, {n} groups", each[COSINE] / each[TABLE], 6.0)
        for n, each in times.items()
    ]
    for n, each in times.items():
        found += [
            Goal(f"the stateless path over the plain loop, {n} groups", each[BOUND] / each[PLAIN], 2.2, at_least=False),
            Goal(f"rate unchanged over the plain loop, {n} groups", each[CONSTANT] / each[PLAIN], 3.0, at_least=False),
        ]
    return found


if __name__ == "__main__":
    main()
