"""Twins of DeepSpeed's schedules and of the `scheduler` block of its configuration (deepspeed 0.19.8)."""

from scheduler.libraries.deepspeed.configuration import ConfigurationError, from_deepspeed
from scheduler.libraries.deepspeed.cycle import LRRangeTest, OneCycle
from scheduler.libraries.deepspeed.warmup import WarmupCosineLR, WarmupDecayLR, WarmupLR

__all__ = [
    "ConfigurationError",
    "LRRangeTest",
    "OneCycle",
    "WarmupCosineLR",
    "WarmupDecayLR",
    "WarmupLR",
    "from_deepspeed",
]
