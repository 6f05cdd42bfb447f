"""Computing the twins of torch's schedulers, side by side with stepping the real ones. Run: python benchmarks/twins.py

Stepping and computing take turns, round by round; a ratio is the median over the rounds of that round's ratio. A real
scheduler is stepped `--stepped` times and its time scaled to `--steps`; every column is computed, into fresh memory.
The peak is what tracemalloc sees at most during a computation, in tables of that many columns.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import tracemalloc
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # what steps a real scheduler lies with the tests

from scheduler.builtin import (
    SWALR,
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)
from scheduler.builtin.twin import Twin
from tests.scheduler.stepping import optimizer_of, real_scheduler

FAST, SLOW = 150, 15
"""Times as fast as stepping: what products and closed forms have to be, and what is affine or needs libm's pow."""


def cases(n: int) -> list[tuple[str, Twin, int]]:
    """Each kind, and its modes where they are computed in different ways; with its goal."""
    linear, cosine = LinearLR(0.1, 0.01, total_iters=n // 10), CosineAnnealingLR(0.1, n - n // 10)
    constant, exponential = ConstantLR(0.1, 0.5, n // 2), ExponentialLR(0.1, 1 - 1 / n)
    return [
        ("ConstantLR", constant, FAST),
        ("LinearLR", LinearLR(0.1, 0.01, total_iters=n), FAST),
        ("StepLR", StepLR(0.1, n // 50, 0.9), FAST),
        ("MultiStepLR", MultiStepLR(0.1, [n // 3, n // 2]), FAST),
        ("ExponentialLR", exponential, FAST),
        ("PolynomialLR", PolynomialLR(0.1, n), FAST),
        ("PolynomialLR power=0.9", PolynomialLR(0.1, n, 0.9), SLOW),
        ("CosineAnnealingLR", CosineAnnealingLR(0.1, n), FAST),
        ("CosineAnnealingLR T_max=100", CosineAnnealingLR(0.1, 100), FAST),
        ("CosineAnnealingLR eta_min", CosineAnnealingLR(0.1, n, 1e-5), SLOW),
        ("CosineAnnealingWarmRestarts", CosineAnnealingWarmRestarts(0.1, n // 10), FAST),
        ("CosineAnnealingWarmRestarts x2", CosineAnnealingWarmRestarts(0.1, n // 1000, 2, 1e-5), FAST),
        ("CyclicLR", CyclicLR(1e-3, 0.1, 2000, cycle_momentum=False), FAST),
        ("CyclicLR momentum", CyclicLR(1e-3, 0.1, 2000), FAST),
        ("CyclicLR triangular2", CyclicLR(1e-3, 0.1, 2000, mode="triangular2", cycle_momentum=False), FAST),
        (
            "CyclicLR exp_range",
            CyclicLR(1e-3, 0.1, 2000, mode="exp_range", gamma=0.99999, cycle_momentum=False),
            SLOW,
        ),
        ("OneCycleLR", OneCycleLR(0.1, n, cycle_momentum=False), FAST),
        ("OneCycleLR momentum", OneCycleLR(0.1, n), FAST),
        ("OneCycleLR linear momentum", OneCycleLR(0.1, n, anneal_strategy="linear"), FAST),
        ("SWALR", SWALR(0.1, 0.01, n), SLOW),
        ("SWALR linear", SWALR(0.1, 0.01, n, "linear"), SLOW),
        ("SequentialLR linear, cosine", SequentialLR([linear, cosine], [n // 10]), FAST),
        ("ChainedScheduler products", ChainedScheduler([constant, exponential, linear]), FAST),
        ("ChainedScheduler cosine", ChainedScheduler([linear, cosine]), SLOW),
    ]


def stepping(twin: Twin, steps: int) -> float:
    """Seconds per step of the real scheduler."""
    optimizer = optimizer_of(twin)
    scheduler = real_scheduler(twin, optimizer)
    optimizer.step()
    begin = time.perf_counter()
    for _ in range(steps - 1):
        scheduler.step()
    return (time.perf_counter() - begin) / (steps - 1)


def computing(twin: Twin, steps: int) -> float:
    """Seconds per step of computing all columns, nothing known from before."""
    fresh = type(twin)(**twin.__getstate__())
    begin = time.perf_counter()
    fresh.columns(steps)
    return (time.perf_counter() - begin) / steps


def peak(twin: Twin, steps: int) -> float:
    """The most memory that a computation holds, in tables."""
    fresh = type(twin)(**twin.__getstate__())
    tracemalloc.start()
    try:
        fresh.columns(steps)
        return tracemalloc.get_traced_memory()[1] / (8 * steps * len(twin.column_names))
    finally:
        tracemalloc.stop()


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--stepped", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{options.steps:,} steps{'':24}stepped ns   computed ns   ratio    goal   peak tables")
    for name, twin, goal in cases(options.steps):
        rounds = [(stepping(twin, options.stepped), computing(twin, options.steps)) for _ in range(options.rounds)]
        stepped, computed = (statistics.median(times) * 1e9 for times in zip(*rounds, strict=True))
        ratio = statistics.median(ours / theirs for ours, theirs in rounds)
        goals = f"{ratio:8.0f}x{goal:7}x" + f"{peak(twin, options.steps):14.2f}" + ("" if ratio >= goal else "  missed")
        print(f"  {name:32}{stepped:10.0f}{computed:14.2f}{goals}")


if __name__ == "__main__":
    main()
