"""Schedules made of schedules, and the curves they are made of."""

from scheduler.compose.combine import (
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

__all__ = [
    "Clamp",
    "Constant",
    "Cycle",
    "Literal",
    "Maximum",
    "Minimum",
    "PerEpoch",
    "Power",
    "Product",
    "Ramp",
    "Scale",
    "Sequence",
    "Shift",
    "Splice",
    "Sum",
]
