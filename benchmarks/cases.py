"""The schedules that are compared with stepping, in values and in time: each kind, computed in each way.

Lengths are shares of `n` steps; the twins' boundaries lie at odd places within them, and some curves end before n.
"""

from __future__ import annotations

import dataclasses
from typing import get_args

from benchmarks.compute import cases as custom_kinds
from scheduler import Schedule
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
from scheduler.compose import Constant, Power, Ramp, Sequence
from scheduler.libraries import deepspeed, transformers
from scheduler.numerics.shapes import Shape


def portable_kinds(n: int) -> list[Schedule]:
    """The user's kinds, every shape of a ramp, the power laws, and a composition: warmup, stable, decay."""
    stable = [Ramp(0.0, 1e-3, n // 10), Constant(1e-3), Ramp("previous", 0.0, n // 5, "1-sqrt")]
    return [
        *custom_kinds(n),
        *(Ramp(0.1, 1e-5, n, shape) for shape in get_args(Shape)),
        *(Power(1e-3, exponent, timescale=n / 10) for exponent in (-0.5, -0.51)),
        Sequence(stable, [n // 10, n - n // 10 - n // 5, n // 5]),
    ]


def quick_twins(n: int) -> list[Schedule]:
    """The twins whose steps multiply the rate, or do not depend on the step before."""
    return [*_quick_torch(n), *_quick_transformers(n)]


def deepspeed_twins(n: int) -> list[Schedule]:
    """The twins of DeepSpeed's schedules, which only the extra for trainers installs."""
    return [
        deepspeed.WarmupLR(warmup_max_lr=3e-4, warmup_num_steps=n // 100),
        deepspeed.WarmupLR(warmup_min_lr=1e-6, warmup_max_lr=3e-4, warmup_num_steps=n // 3, warmup_type="linear"),
        deepspeed.WarmupDecayLR(n - n // 10, warmup_max_lr=3e-4, warmup_num_steps=n // 100),
        deepspeed.WarmupCosineLR(3e-4, n - n // 10, warmup_num_steps=n // 100),
        deepspeed.LRRangeTest(1e-5, n // 50, 0.1),
        deepspeed.LRRangeTest(1e-5, n // 50, 0.1, lr_range_test_staircase=True),
        deepspeed.OneCycle(1e-5, 1e-3, cycle_first_step_size=n // 5, decay_lr_rate=0.1, decay_step_size=n // 10),
    ]


def _quick_torch(n: int) -> list[Schedule]:
    linear, cosine = LinearLR(0.1, 0.01, total_iters=n // 3), CosineAnnealingLR(0.1, n // 3)
    cycle = OneCycleLR(0.2, n // 2, momentum_column="beta1")
    return [
        ConstantLR(0.1, 0.3, n // 2),
        LinearLR(0.1, 1.0, 0.0, total_iters=n - 10),
        StepLR(0.1, n // 50, 0.9),
        MultiStepLR(0.1, [0, n // 3, n // 2, n // 2], 0.3),
        ExponentialLR(0.1, 0.99999),
        PolynomialLR(0.1, n - 10),
        CosineAnnealingLR(0.1, n // 4),
        CosineAnnealingLR(0.1, 100),
        CosineAnnealingWarmRestarts(0.1, 1234),
        CosineAnnealingWarmRestarts(0.1, 1000, 2, 1e-5),
        CyclicLR(0.001, 0.1, 2000, 3000),
        CyclicLR(0.001, 0.1, n // 9, mode="triangular2", momentum_column="beta1"),
        OneCycleLR(0.1, n),
        OneCycleLR(0.1, n, anneal_strategy="linear", momentum_column="beta1"),
        OneCycleLR(0.1, n, pct_start=0.31, three_phase=True),
        SequentialLR([linear, cosine], [n // 3]),
        SequentialLR([linear, cycle, StepLR(0.1, 1000)], [n // 3, 2 * n // 3]),
        ChainedScheduler([ConstantLR(0.1, 0.5, n // 2), ExponentialLR(0.1, 0.99999), linear]),
    ]


def _quick_transformers(n: int) -> list[Schedule]:
    counts = (3e-4, n // 100, n - n // 10)
    stable = (3e-4, n // 5, n // 3, n - n // 10)
    return [
        transformers.Constant(3e-4),
        transformers.ConstantWithWarmup(3e-4, n // 3),
        transformers.Linear(*counts),
        transformers.Cosine(*counts),
        transformers.Cosine(*counts, num_cycles=1234.5),
        transformers.CosineWithRestarts(*counts, num_cycles=7.0),
        transformers.Polynomial(*counts),
        transformers.InverseSqrt(3e-4, n // 100),
        transformers.CosineWithMinLR(*counts, min_lr=1e-5),
        transformers.CosineWarmupWithMinLR(*counts, min_lr_rate=0.1),
        transformers.CosineWarmupWithMinLR(*counts, min_lr_rate=0.1, warmup_lr_rate=0.01),
        transformers.WarmupStableDecay(*stable, warmup_type="linear", decay_type="cosine", min_lr_ratio=0.01),
        transformers.WarmupStableDecay(*stable, warmup_type="cosine", decay_type="1-sqrt"),
        transformers.WarmupStableDecay(*stable, warmup_type="1-sqrt", decay_type="linear"),
    ]


def slow_twins(n: int) -> list[Schedule]:
    """The twins whose steps multiply and add, one after the other, or take a power each from the C library."""
    linear, cosine = LinearLR(0.1, 0.01, total_iters=n // 3), CosineAnnealingLR(0.1, n // 3, 1e-5)
    return [
        PolynomialLR(0.1, n - 10, 0.9),
        CosineAnnealingLR(0.1, n // 4, 1e-5),
        CyclicLR(0.001, 0.1, 2000, mode="exp_range", gamma=0.99999),
        SWALR(0.1, 0.05, n // 2),
        SWALR(0.1, 0.05, n // 2, "linear"),
        SequentialLR([SequentialLR([linear, cosine], [999]), SWALR(0.1, 0.01, n // 10)], [n // 2]),
        ChainedScheduler([linear, cosine]),
        ChainedScheduler([linear, CosineAnnealingWarmRestarts(0.1, 1234), cosine]),
        transformers.Polynomial(3e-4, n // 100, n - n // 10, 1e-6, 0.9, lr_init=1e-3),
    ]


def parameters(schedule: Schedule) -> str:
    """The parameters as one writes them, without those at their defaults."""
    fields = dataclasses.fields(schedule)  # type: ignore[arg-type]  # every kind is a dataclass
    given = ((field.name, getattr(schedule, field.name), field.default) for field in fields)
    return ", ".join(f"{name}={_written(value)}" for name, value, default in given if value != default)


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, Schedule):
        return f"{type(value).__name__}({parameters(value)})"
    return repr(value)
