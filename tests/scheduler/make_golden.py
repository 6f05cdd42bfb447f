"""Adds missing lines to the golden digests: python -m tests.scheduler.make_golden. It never changes a line."""

from __future__ import annotations

import json
from typing import get_args

from scheduler import Schedule, Spec, Table
from scheduler.compose import Constant, Cycle, Power, Ramp, Sequence
from scheduler.custom import (
    CosineAnnealingWarmRestarts,
    CosineWarmup,
    CyclicLR,
    ExponentialCyclicLR,
    ExponentialWarmup,
    LinearWarmup,
    OneCycleLR,
    WarmupWithDecay,
)
from scheduler.numerics.shapes import Shape
from tests.support.schedules.golden import ENTRIES, GOLDEN

N = 200_000

SCHEDULES: list[Schedule] = [
    LinearWarmup(1e-3, 70_000),
    ExponentialWarmup(1e-3, 70_000),
    ExponentialWarmup(3e-4, 7, start_lr=1e-5),
    CosineWarmup(1e-3, 70_001),
    WarmupWithDecay(5e-4, 10_000, N, min_lr=1e-6),
    WarmupWithDecay(1e-4, 10_000, 1_000_000),
    CyclicLR(1e-4, 1e-1, 2000),
    CyclicLR(1e-4, 1e-1, 50_000),
    CyclicLR(1e-4, 1e-1, 2000, mode="triangular2"),
    CyclicLR(1e-4, 1e-1, 50_000, mode="triangular2"),
    CyclicLR(1e-4, 1e-1, 2000, mode="exp_range"),
    CyclicLR(1e-4, 1e-1, 50_000, mode="exp_range"),
    OneCycleLR(0.1, N),
    OneCycleLR(0.1, N, anneal_strategy="linear"),
    CosineAnnealingWarmRestarts(0.1, 1e-5, 1000),
    CosineAnnealingWarmRestarts(0.1, 1e-5, 3, t_mult=3),
    CosineAnnealingWarmRestarts(0.1, 1e-5, 777, t_mult=1),
    CosineAnnealingWarmRestarts(0.1, 1e-5, 77_777, t_mult=1),
    ExponentialCyclicLR(1e-4, 1e-2, 2000),
    ExponentialCyclicLR(1e-4, 1e-2, 333),
    ExponentialCyclicLR(1e-4, 1e-2, 77_777),
    *[Ramp(0.1, 1e-4, 150_001, shape) for shape in get_args(Shape)],
    *[Ramp(0.1, 0.0, 150_001, "polynomial", power=power) for power in (0.5, 0.9, 1.5, 3.7)],
    *[Power(1e-3, exponent, 100.0) for exponent in (-0.5, -0.51, -1.0)],
    Sequence([LinearWarmup(1e-3, 1000), Constant(1e-3), Ramp("previous", 0.0, 50_000)], [1000, 149_000, 50_000]),
    Cycle(Ramp(0.1, 0.0, 1000, "cosine"), 1000, growth=2, amplitude=0.5),
    Cycle(Ramp(0.1, 0.01, 1000, "cosine"), 1000, amplitude=0.9, floor=0.01),
    Cycle(Ramp(0.1, 0.01, 1000, "cosine"), 1000, growth=2, amplitude=0.9, floor=0.01),
    Cycle(Ramp(0.1, 0.01, 1000, "cosine"), 1000, amplitude=0.9, floor=0.01, peak=0.1),
    Cycle(Ramp(0.1, 0.01, 50_000, "cosine"), 50_000, amplitude=0.9, floor=0.01, peak=0.1),
]


def main() -> None:
    """Write the file."""
    known = {Spec.model_validate_json(json.dumps(entry["spec"])).canonical(): entry for entry in ENTRIES}
    for schedule in SCHEDULES:
        spec = Spec(schedule=schedule, total_steps=N)
        digest = Table.compute(spec).digest
        known.setdefault(spec.canonical(), {"digest": digest, "spec": json.loads(spec.canonical())})
    lines = [json.dumps(entry) for entry in known.values()]
    GOLDEN.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
