"""The schedules of the original `scheduler.custom`: plain objects with `get_lr(step)`, in portable arithmetic."""

from scheduler.custom.cyclical import CosineAnnealingWarmRestarts, CyclicLR, ExponentialCyclicLR, OneCycleLR
from scheduler.custom.warmup import CosineWarmup, ExponentialWarmup, LinearWarmup, WarmupWithDecay

__all__ = [
    "CosineAnnealingWarmRestarts",
    "CosineWarmup",
    "CyclicLR",
    "ExponentialCyclicLR",
    "ExponentialWarmup",
    "LinearWarmup",
    "OneCycleLR",
    "WarmupWithDecay",
]
