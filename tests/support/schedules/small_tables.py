"""Tables small enough to be written out in a test."""

from __future__ import annotations

from typing import Any

from scheduler import Spec, Table
from scheduler.custom import WarmupWithDecay

SPEC = Spec(schedule=WarmupWithDecay(5e-4, 100, 1000, min_lr=1e-6), total_steps=1000)


def small(**layout: Any) -> Table:
    """Three steps of values that every format holds exactly."""
    return Table({"lr": [0.5, 0.25, 0.125]}, **layout)
