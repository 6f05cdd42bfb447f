"""Schedules of every kind whose length is known: those made for a number of steps, and those made for none."""

from __future__ import annotations

from collections.abc import Iterable

from scheduler import Schedule, builtin, custom
from scheduler.builtin import CosineAnnealingLR, OneCycleLR
from scheduler.compose import (
    Clamp,
    Constant,
    Cycle,
    Maximum,
    Minimum,
    PerEpoch,
    Power,
    Product,
    Ramp,
    Scale,
    Sequence,
    Shift,
    Splice,
    Sum,
)
from scheduler.compose.literal import Literal
from scheduler.custom import LinearWarmup, WarmupWithDecay
from scheduler.libraries import deepspeed, transformers

N = 100
"""Steps that the schedules of `MADE_FOR` are made for."""
COSINE = transformers.Cosine(1e-3, 10, N)
WARMUP = LinearWarmup(1e-3, 10)

MADE_FOR: dict[Schedule, bool] = {
    WarmupWithDecay(1e-3, 10, N): True,
    custom.OneCycleLR(0.1, N): True,
    OneCycleLR(0.1, N): True,
    CosineAnnealingLR(0.1, N): True,
    builtin.PolynomialLR(0.1, N): True,
    builtin.LinearLR(0.1, 1.0, 0.0, N): True,
    builtin.SWALR(0.1, 0.05, N): False,
    builtin.SequentialLR([builtin.LinearLR(0.1, 0.1, 1.0, 10), CosineAnnealingLR(0.1, N - 10)], [10]): True,
    builtin.ChainedScheduler([builtin.ConstantLR(0.1, 0.5, 10), CosineAnnealingLR(0.1, N)]): True,
    transformers.Linear(1e-3, 10, N): True,
    COSINE: True,
    transformers.CosineWithRestarts(1e-3, 10, N, 2.0): True,
    transformers.Polynomial(1e-3, 10, N): True,
    transformers.CosineWithMinLR(1e-3, 10, N, min_lr=1e-5): True,
    transformers.CosineWarmupWithMinLR(1e-3, 10, N, min_lr=1e-5): True,
    transformers.WarmupStableDecay(1e-3, 10, 20, N): True,
    deepspeed.WarmupDecayLR(N, warmup_num_steps=10): True,
    deepspeed.WarmupCosineLR(0.1, N, warmup_num_steps=10): True,
    deepspeed.OneCycle(0.01, 0.1, cycle_first_step_size=N // 2): True,
    Literal([0.1] * N): False,
    Ramp(0.1, 0.0, N): True,
    Sequence([WARMUP, Constant(1e-3), Ramp("previous", 0.0, 20)], [10, N - 30]): True,
    Sequence([WARMUP, Constant(1e-3), Ramp("previous", 0.0, 20)], [10, N - 30, 20]): True,
    Splice(WarmupWithDecay(1e-3, 10, 10 * N), N - 20, Ramp("previous", 0.0, 20)): True,
    Product([COSINE, Ramp(0.0, 1.0, 10)]): True,
    Minimum([Constant(5e-4), COSINE]): True,
    Sum([COSINE, Constant(1e-4)]): False,
    Maximum([COSINE, Constant(1e-4)]): False,
    Scale(COSINE, 0.5): True,
    Clamp(COSINE): True,
    Shift(transformers.Cosine(1e-3, 10, N + 5), 5): True,
    PerEpoch(transformers.Cosine(1e-3, 1, N // 10), 10): True,
    Cycle(Ramp(0.1, 0.0, N // 4, "cosine"), N // 4, count=4): True,
}
"""Schedules that are made for N steps, and whether a longer training is warned of as well as a shorter one."""

WITHOUT: dict[Schedule, int] = {
    Constant(0.1): 1,
    Power(0.1, -0.5): 1,
    LinearWarmup(1e-3, 10): 11,
    custom.ExponentialWarmup(1e-3, 10): 11,
    custom.CosineWarmup(1e-3, 10): 11,
    custom.CyclicLR(1e-4, 1e-1, 10): 1,
    custom.CosineAnnealingWarmRestarts(0.1, 1e-5, 10): 1,
    custom.ExponentialCyclicLR(1e-4, 1e-1, 10): 1,
    builtin.StepLR(0.1, 10): 1,
    builtin.MultiStepLR(0.1, [10]): 11,
    builtin.ExponentialLR(0.1, 0.9): 1,
    builtin.CosineAnnealingWarmRestarts(0.1, 10): 1,
    builtin.CyclicLR(0.01, 0.1, 10): 1,
    builtin.LinearLR(0.1, total_iters=10): 11,
    builtin.ConstantLR(0.1, 0.5, 10): 1,
    transformers.Constant(0.1): 1,
    transformers.ConstantWithWarmup(0.1, 10): 11,
    transformers.InverseSqrt(0.1, 10): 11,
    deepspeed.WarmupLR(0.1, warmup_num_steps=10): 11,
    deepspeed.LRRangeTest(): 1,
    Cycle(Ramp(0.1, 0.0, 10, "cosine"), 10): 10,
    Ramp(0.0, 1.0, 10): 10,
}
"""Schedules that are made for no number of steps, and the fewest for which there is nothing to say."""


def numbered(schedules: Iterable[Schedule]) -> list[str]:
    """Names of test cases, one for each schedule."""
    return [f"{number}-{schedule.kind}" for number, schedule in enumerate(schedules)]
