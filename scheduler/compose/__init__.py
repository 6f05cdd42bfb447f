"""Schedules made of schedules, and the curves they are made of."""

from scheduler.compose.combine import Maximum, Minimum, Product, Sum
from scheduler.compose.curves import Constant, Power, Ramp
from scheduler.compose.cycle import Cycle
from scheduler.compose.literal import Literal
from scheduler.compose.sequence import Sequence, Splice
from scheduler.compose.wrappers import Clamp, PerEpoch, Scale, Shift

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
