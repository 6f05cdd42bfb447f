"""Twins of torch's schedulers with boundaries that lie far apart."""

from __future__ import annotations

from typing import Any

import pytest

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


def long(n: int) -> list[Any]:
    """Each kind, and each way of computing it, with boundaries that lie far apart within n steps."""
    linear, cosine = LinearLR(0.1, 0.01, total_iters=n // 3), CosineAnnealingLR(0.1, n // 3, 1e-5)
    cycle = OneCycleLR(0.2, n // 2, momentum_column="beta1")
    cases: dict[str, Twin] = {
        "ConstantLR": ConstantLR(0.1, 0.3, n // 2),
        "LinearLR": LinearLR(0.1, 1.0, 0.0, total_iters=n - 10),
        "StepLR": StepLR(0.1, n // 50, 0.9),
        "MultiStepLR": MultiStepLR(0.1, [0, n // 3, n // 2, n // 2], 0.3),
        "ExponentialLR": ExponentialLR(0.1, 1 - 10 / n),
        "ExponentialLR-vanishing": ExponentialLR(0.1, 0.9),
        "PolynomialLR": PolynomialLR(0.1, n - 10),
        "PolynomialLR-power": PolynomialLR(0.1, n - 10, 0.9),
        "CosineAnnealingLR": CosineAnnealingLR(0.1, n // 4),
        "CosineAnnealingLR-short": CosineAnnealingLR(0.1, 100),
        "CosineAnnealingLR-1": CosineAnnealingLR(0.1, 1),
        "CosineAnnealingLR-eta_min": CosineAnnealingLR(0.1, n // 4, 1e-5),
        "CosineAnnealingWarmRestarts": CosineAnnealingWarmRestarts(0.1, 1234),
        "CosineAnnealingWarmRestarts-long": CosineAnnealingWarmRestarts(0.1, n - 10, 1, 1e-5),
        "CosineAnnealingWarmRestarts-growing": CosineAnnealingWarmRestarts(0.1, 1000, 2, 1e-5),
        "CyclicLR": CyclicLR(0.001, 0.1, 2000, 3000),
        "CyclicLR-triangular2": CyclicLR(0.001, 0.1, n // 9, mode="triangular2", momentum_column="beta1"),
        "CyclicLR-exp_range": CyclicLR(0.001, 0.1, 2000, mode="exp_range", gamma=0.99999),
        "OneCycleLR": OneCycleLR(0.1, n),
        "OneCycleLR-linear": OneCycleLR(0.1, n, anneal_strategy="linear", momentum_column="beta1"),
        "OneCycleLR-three_phase": OneCycleLR(0.1, n, pct_start=0.31, three_phase=True),
        "SWALR": SWALR(0.1, 0.05, n // 2),
        "SWALR-linear": SWALR(0.1, 0.05, n // 2, "linear"),
        "SequentialLR": SequentialLR([linear, cosine, SWALR(0.1, 0.01, n // 10)], [n // 3, n // 2]),
        "SequentialLR-momentum": SequentialLR([linear, cycle, StepLR(0.1, 1000)], [n // 3, 2 * n // 3]),
        "SequentialLR-nested": SequentialLR([SequentialLR([linear, cosine], [999]), linear], [n // 2]),
        "ChainedScheduler": ChainedScheduler([ConstantLR(0.1, 0.5, n // 2), ExponentialLR(0.1, 1 - 1 / n), linear]),
        "ChainedScheduler-affine": ChainedScheduler([linear, cosine]),
        "ChainedScheduler-closed": ChainedScheduler([linear, CosineAnnealingWarmRestarts(0.1, 1234), cosine]),
    }
    return [pytest.param(twin, id=name) for name, twin in cases.items()]
