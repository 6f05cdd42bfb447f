"""Computing every kind, side by side with stepping. Run: python benchmarks/stepping.py [--steps N] [--stepped N]

A twin is measured beside the real class. A portable kind is measured beside torch's LambdaLR: over the user's formula
in plain Python where it is one of the user's, and else over a function that returns at once, the least that stepping
costs. Stepping and computing take turns, round by round, in processor time; a ratio is the median over the rounds of
that round's ratio. Only `--stepped` steps are stepped, and their time per step is taken for that of all; every column
is computed, into new memory, by an object that has computed nothing before. The peak is what tracemalloc sees at most
during a computation, in tables of that many columns.
"""

from __future__ import annotations

import argparse
import statistics
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch

from benchmarks.cases import parameters, portable_kinds, quick_twins, slow_twins
from benchmarks.clock import fresh, seconds
from benchmarks.compute import as_plain
from benchmarks.real import Real, over, real
from scheduler import Schedule


class Goal(NamedTuple):
    """The goal of a group of schedules, and the scheduler that they are compared with."""

    name: str
    schedules: Callable[[int], list[Schedule]]
    original: Callable[[Schedule], Real]
    ratio: int
    """Times as fast as stepping, at least."""
    tables: float
    """The most memory, in tables."""


def as_function(schedule: Schedule) -> Real:
    """The scheduler to step where torch has no such class: LambdaLR over the formula."""
    return over(as_plain(schedule) if schedule.kind.startswith("custom.") else lambda step: 1.0)


GOALS = (
    Goal("portable kinds", portable_kinds, as_function, 700, 1.1),
    Goal("twins: products and closed forms", quick_twins, real, 150, 3.0),
    Goal("twins: affine, or with libm's pow for every element", slow_twins, real, 15, 3.0),
)


def stepping(original: Real, steps: int) -> float:
    """Seconds per step of a scheduler."""
    _, scheduler = original
    return seconds(partial(_step, scheduler, steps)) / steps


def _step(scheduler: Any, steps: int) -> None:
    for _ in range(steps):
        scheduler.step()


def computing(schedule: Schedule, steps: int) -> float:
    """Seconds per step of computing all columns."""
    return seconds(partial(fresh(schedule).columns, steps)) / steps


def peak(schedule: Schedule, steps: int) -> float:
    """The most memory that a computation holds, in tables."""
    new = fresh(schedule)
    tracemalloc.start()
    try:
        new.columns(steps)
        return tracemalloc.get_traced_memory()[1] / (8 * steps * len(schedule.column_names))
    finally:
        tracemalloc.stop()


def measure(goal: Goal, options: argparse.Namespace) -> int:
    """Print a row for each of the goal's schedules; how many of them miss it."""
    print(f"\n{goal.name}: at least {goal.ratio}x, at most {goal.tables} tables")
    print("stepped ns   computed ns     ratio   peak tables")
    missed = 0
    for schedule in goal.schedules(options.steps):
        rounds = [
            (stepping(goal.original(schedule), options.stepped), computing(schedule, options.steps))
            for _ in range(options.rounds)
        ]
        stepped, computed = (statistics.median(times) * 1e9 for times in zip(*rounds, strict=True))
        ratio, tables = statistics.median(a / b for a, b in rounds), peak(schedule, options.steps)
        met = ratio >= goal.ratio and tables <= goal.tables
        missed += not met
        figures = f"{stepped:10.0f}{computed:14.2f}{ratio:9.0f}x{tables:14.2f}"
        print(f"{figures}  {'met   ' if met else 'MISSED'}  {schedule.kind}({parameters(schedule)})", flush=True)
    return missed


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000, help="steps computed (1,000,000)")
    parser.add_argument("--stepped", type=int, default=20_000, help="steps stepped (20,000)")
    parser.add_argument("--rounds", type=int, default=5, help="times that each schedule is measured (5)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{options.steps:,} steps computed; {options.stepped:,} steps stepped, and their time scaled")
    missed = sum(measure(goal, options) for goal in GOALS)
    print(f"\n{missed} schedules miss their goal")


if __name__ == "__main__":
    main()
