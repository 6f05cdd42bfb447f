"""Every schedule by its name: ours here, twins in a namespace for each library.

`schedules.WarmupWithDecay`, `schedules.Sequence`; `schedules.torch.OneCycleLR` is PyTorch's, bit for bit, and
`schedules.transformers.Cosine` that of transformers; `schedules.deepspeed.WarmupLR` that of DeepSpeed.
"""

from scheduler import builtin as torch
from scheduler import recipes
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
from scheduler.libraries import deepspeed, transformers

__all__ = [
    "Clamp",
    "Constant",
    "CosineAnnealingWarmRestarts",
    "CosineWarmup",
    "Cycle",
    "CyclicLR",
    "ExponentialCyclicLR",
    "ExponentialWarmup",
    "LinearWarmup",
    "Literal",
    "Maximum",
    "Minimum",
    "OneCycleLR",
    "PerEpoch",
    "Power",
    "Product",
    "Ramp",
    "Scale",
    "Sequence",
    "Shift",
    "Splice",
    "Sum",
    "WarmupWithDecay",
    "deepspeed",
    "recipes",
    "torch",
    "transformers",
]
