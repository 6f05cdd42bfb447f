"""Computing the user's schedules, side by side with what people do today. Run: python benchmarks/compute.py

Every way runs once per round, in turn; a ratio is the median over the rounds of that round's ratio. `memset` fills a
warm array of the same size. Ours is computed into a warm array, its factor tables cleared before every round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks import plain, straightforward
from scheduler import Schedule, custom
from scheduler.fields import Values
from scheduler.numerics.grid import clear_caches

TRANSCENDENTAL = (
    custom.ExponentialWarmup,
    custom.CosineWarmup,
    custom.WarmupWithDecay,
    custom.CosineAnnealingWarmRestarts,
    custom.ExponentialCyclicLR,
)


def cases(n: int) -> list[Schedule]:
    """Each kind and mode, its phases in usual proportions to the whole."""
    return [
        custom.LinearWarmup(1e-3, n // 2),
        custom.ExponentialWarmup(1e-3, n // 2),
        custom.CosineWarmup(1e-3, n // 2),
        custom.WarmupWithDecay(5e-4, n // 10, n, min_lr=1e-6),
        custom.CyclicLR(1e-4, 1e-1, 2000),
        custom.CyclicLR(1e-4, 1e-1, n // 20, mode="triangular2"),
        custom.CyclicLR(1e-4, 1e-1, 2000, mode="exp_range", gamma=0.99999),
        custom.OneCycleLR(0.1, n),
        custom.OneCycleLR(0.1, n, anneal_strategy="linear"),
        custom.CosineAnnealingWarmRestarts(0.1, 1e-5, n // 1000),
        custom.CosineAnnealingWarmRestarts(0.1, 1e-5, 2000, t_mult=1),
        custom.ExponentialCyclicLR(1e-4, 1e-2, 2000),
    ]


def name(schedule: Schedule) -> str:
    """The kind, with the mode where there are several."""
    parts = [schedule.kind.removeprefix("custom.")]
    parts += [str(getattr(schedule, field)) for field in ("mode", "anneal_strategy") if hasattr(schedule, field)]
    return " ".join(parts) + (" x1" if getattr(schedule, "t_mult", 0) == 1 else "")


def as_plain(schedule: Schedule) -> Callable[[int], float]:
    """The get_lr of the same schedule in plain Python."""
    parameters = {name: value for name, value in schedule.to_dict().items() if name != "kind"}
    get_lr: Callable[[int], float] = getattr(plain, type(schedule).__name__)(**parameters).get_lr
    return get_lr


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def cold(schedule: Schedule, out: Values) -> Callable[[], None]:
    """Compute the schedule with nothing remembered from before."""

    def work() -> None:
        clear_caches()
        schedule.fill(out)

    return work


def list_comprehension(get_lr: Callable[[int], float], n: int) -> list[float]:
    """The guide's CachedScheduler."""
    return [get_lr(step) for step in range(n)]


def median_ratio(times: dict[str, list[float]], over: str, under: str) -> float:
    """The median over the rounds of one way's time divided by another's."""
    return statistics.median(a / b for a, b in zip(times[over], times[under], strict=True))


def compute(n: int, rounds: int, list_rounds: int) -> None:
    """Print a row per schedule: ours in ns per step, and how many times the others take, or memset goes into it."""
    print(f"\n{n:,} steps{'':25}ours ns/step   ours/memset   numpy/ours   list/ours")
    out = np.zeros(n)
    for schedule in cases(n):
        get_lr = as_plain(schedule)
        times: dict[str, list[float]] = {"memset": [], "ours": [], "numpy": []}
        for _ in range(rounds):
            times["memset"].append(seconds(lambda: out.fill(1.5)))
            times["ours"].append(seconds(cold(schedule, out)))
            times["numpy"].append(seconds(partial(straightforward.values, schedule, n)))
        listed = statistics.median(seconds(partial(list_comprehension, get_lr, n)) for _ in range(list_rounds))
        ours = statistics.median(times["ours"])
        exempt = "" if isinstance(schedule, TRANSCENDENTAL) or "cos" in name(schedule) else "  (no transcendental)"
        print(
            f"  {name(schedule):36}{ours / n * 1e9:8.2f}   {median_ratio(times, 'ours', 'memset'):10.1f}x"
            f" {median_ratio(times, 'numpy', 'ours'):11.1f}x {listed / ours:10.0f}x{exempt}"
        )


def look_up(n: int, rounds: int) -> None:
    """Print the cost of one get_lr in a training loop: ours, and the formula in plain Python."""
    parameters = (5e-4, n // 10, n, 1e-6)

    def loop(get_lr: Callable[[int], float]) -> float:
        return seconds(lambda: [None for step in range(n) if get_lr(step) < 0])

    times: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(rounds):
        times["plain"].append(loop(plain.WarmupWithDecay(*parameters).get_lr))
        times["ours"].append(loop(custom.WarmupWithDecay(*parameters).get_lr))
    ours, theirs = (statistics.median(times[way]) / n * 1e9 for way in ("ours", "plain"))
    print(f"\nget_lr over {n:,} consecutive steps of WarmupWithDecay, a new object each round, first call included")
    print(f"  ours {ours:.0f} ns a call, plain Python {theirs:.0f} ns: {median_ratio(times, 'plain', 'ours'):.1f}x")


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="a few rounds, without the 10,000,000 steps")
    options = parser.parse_args()
    rounds = 3 if options.quick else options.rounds
    look_up(100_000, rounds)
    compute(1_000_000, rounds, list_rounds=1 if options.quick else 3)
    if not options.quick:
        compute(10_000_000, max(3, rounds // 2), list_rounds=1)


if __name__ == "__main__":
    main()
