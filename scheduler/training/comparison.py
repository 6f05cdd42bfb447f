"""A built-in scheduler and a table side by side: were the applied rates the same?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from scheduler.registry import KINDS
from scheduler.schedule import Schedule
from scheduler.spec import Spec
from scheduler.table import Table
from scheduler.table_format import Axis
from scheduler.training.choices import Settings
from scheduler.views.difference import Difference, difference


def twin(settings: Settings, batches: int) -> Table | None:
    """The table of the chosen scheduler's twin, one row per epoch or per batch; None where it has no twin.

    Raises `ScheduleError`, naming field and value, for parameters that the twin refuses.
    """
    choice = settings.choice
    if choice.watches_loss or choice.kind not in KINDS:
        return None
    base_lr = {"base_lr": settings.lr} if "lr" in choice.defaults else {}
    schedule = KINDS[choice.kind](**settings.parameters(batches), **base_lr)
    rows = settings.epochs * (batches if choice.per_batch else 1)
    return Table.compute(Spec(schedule=schedule, total_steps=rows, axis=_axis(settings)))


def recorded(settings: Settings, batches: int, rates: Sequence[float], momenta: Sequence[float]) -> Table:
    """A table of what a training applied, update by update: one row per epoch or per batch."""
    every = 1 if settings.choice.per_batch else batches
    return Table({"lr": rates[::every], "momentum": momenta[::every]}, axis=_axis(settings))


def _axis(settings: Settings) -> Axis:
    return "step" if settings.choice.per_batch else "epoch"


def verdict(found: Difference, unit: str) -> str:
    """A difference in words."""
    if found.equal:
        return f"equal bit for bit in all {found.steps:,} {unit}s"
    ulp = f"{found.ulp:,}" if found.ulp < 10**6 else f"{found.ulp:.0e}"
    return (
        f"different in {found.differing:,} of {found.steps:,} {unit}s, first in {unit} {found.first:,}; "
        f"at most by {found.largest:.3g} (in {unit} {found.largest_at:,}) and {ulp} ULP"
    )


def custom_lines(settings: Settings, batches: int, rates: Sequence[float]) -> Iterator[str]:
    """Difference of the schedule of that name in `scheduler.custom` from torch's rates; empty where there is none."""
    schedule = _custom(settings, batches)
    if schedule is None:
        return
    torchs, ours = np.array(rates), schedule.values(len(rates))
    found = difference(torchs, ours)
    yield f"{schedule.kind} with the same parameters: {verdict(found, 'update')}"
    for name, step in (("largest difference", found.largest_at), ("last", len(rates) - 1)):
        if step is not None:
            yield f"  {name}, update {step:,}: torch {float(torchs[step])!r}, custom {float(ours[step])!r}"
    if settings.choice.torch_class == "OneCycleLR":
        yield "  by design: custom rises in a straight line, torch along its anneal_strategy; custom falls to"
        yield "  max_lr / final_div_factor, torch to max_lr / div_factor / final_div_factor"


def _custom(settings: Settings, batches: int) -> Schedule | None:
    kind = KINDS.get(f"custom.{settings.choice.torch_class}")
    if kind is None:
        return None
    parameters = settings.parameters(batches)
    if "step_size_up" in parameters:
        parameters["step_size"] = parameters.pop("step_size_up")
    return kind(**parameters)
