"""Twins of torch's schedulers (2.13): its class names, its parameters, its bits."""

from scheduler.builtin.composite import ChainedScheduler, SequentialLR
from scheduler.builtin.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from scheduler.builtin.cycle import CyclicLR, OneCycleLR
from scheduler.builtin.decay import ExponentialLR, MultiStepLR, StepLR
from scheduler.builtin.ramp import ConstantLR, LinearLR, PolynomialLR
from scheduler.builtin.swa import SWALR
from scheduler.builtin.twin import NOT_TWINNED

__all__ = [
    "NOT_TWINNED",
    "SWALR",
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "PolynomialLR",
    "SequentialLR",
    "StepLR",
]
