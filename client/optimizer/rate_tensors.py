"""Rates that are tensors: whether one still holds the written rate, and which version it has."""

from __future__ import annotations

import math
from typing import Any

import torch

WrittenTensor = tuple[torch.Tensor, int]
"""A tensor and its version, which every write in place increases."""


def written_tensor(tensor: torch.Tensor) -> WrittenTensor:
    """A tensor as it is after a write. Torch keeps no version of inference tensors: theirs is 0."""
    return tensor, 0 if tensor.is_inference() else tensor._version


def same_rate(current: Any, rate: float) -> bool:
    """Whether a group's rate is still the one that was written; a tensor holds it in its own precision.

    A tensor on a device counts as unchanged: reading it would make every step wait for the device.
    """
    if not torch.is_tensor(current):
        return bool(current == rate)
    if not current.is_floating_point():
        return False
    if current.device.type != "cpu":
        return True
    precision = torch.finfo(current.dtype)
    return math.isclose(current.item(), rate, rel_tol=precision.eps, abs_tol=precision.tiny)


def is_same(current: Any, rate: Any, written: WrittenTensor | None) -> bool:
    """Whether a group's rate is the object that was written: the number, or the tensor and not filled again since."""
    if not torch.is_tensor(current):
        return current is rate
    return written is not None and current is written[0] and written_tensor(current)[1] == written[1]
