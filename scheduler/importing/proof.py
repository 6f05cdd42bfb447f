"""The proof that a schedule has its original's rates: the real scheduler is stepped and compared bit for bit.

The real scheduler is made here, of the library's own class with the schedule's parameters. A function or a subclass
that the training had instead is not in the file, and not in the proof.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

from scheduler.builtin.twin import Twin
from scheduler.fields import Values
from scheduler.interop.group_fields import read
from scheduler.schedule import Schedule

MOST_STEPS = 100_000
"""Steps of a proof at most: a second or two of stepping."""

Original = tuple[Any, Any]
"""An optimizer of torch's with one group, and the real scheduler on it."""


class ProofError(ValueError):
    """The real scheduler has other rates than the schedule."""


def prove(schedules: Sequence[Schedule], steps: int) -> str:
    """A sentence that says what was compared with the original, or why nothing was.

    Args:
        schedules: twins, one for each parameter group.
        steps: those of the training, of which the first 100,000 are compared.

    Raises `ProofError` where a value differs: a mistake of ours, or the effect of another version of the library.
    """
    compared = min(steps, MOST_STEPS)
    names = []
    for schedule in dict.fromkeys(schedules):
        try:
            name, original = _original(schedule)
        except ImportError as error:
            package = (error.name or str(error)).partition(".")[0]
            return f"not proven: {package} is not installed here"
        if original is None:
            return f"not proven: {schedule.kind} is ours, and has no original"
        _compare(schedule, original, name, compared)
        names.append(name)
    which = "" if len(schedules) == 1 else f", in each of {len(schedules)} parameter groups"
    return f"equals the real {names[0]} with these parameters on {compared:,} of {steps:,} steps, bit for bit{which}"


def _original(schedule: Schedule) -> tuple[str, Original | None]:
    """The real scheduler of a twin, and its name with the library's version; None for a kind of ours."""
    library, _, name = schedule.kind.rpartition(".")
    makers = {"torch": _torch, "transformers": _transformers, "deepspeed": _deepspeed}
    if library not in makers:
        return name, None
    with _silent():
        made = makers[library](schedule, name)
        return f"{name} of {library} {version(library)}", made


@contextmanager
def _silent() -> Iterator[None]:
    """Silence the library's warnings about a scheduler without a training."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _compare(schedule: Schedule, original: Original, name: str, steps: int) -> None:
    optimizer, scheduler = original
    columns = {column: np.empty(steps) for column in schedule.column_names}
    with _silent():
        optimizer.step()  # the order that torch asks for
        for step in range(steps):
            for column, values in columns.items():
                values[step] = read(optimizer.param_groups[0], column)
            if step + 1 < steps:
                scheduler.step()
    for column, expected in columns.items():
        _check(column, schedule.columns(steps)[column], expected, name)


def _check(column: str, ours: Values, theirs: Values, name: str) -> None:
    differing = np.flatnonzero(ours.view(np.int64) != theirs.view(np.int64))
    if len(differing):
        step = int(differing[0])
        raise ProofError(
            f"{column} differs from that of {name} in {len(differing):,} of {len(ours):,} steps, first in {step:,}: "
            f"{float(ours[step])!r} here, {float(theirs[step])!r} there"
        )


def _optimizer(rate: float, default: float | None = None, *, betas: bool = True) -> Any:
    from torch import nn, optim, zeros  # noqa: PLC0415  # an extra, and slow to import

    group = {"params": [nn.Parameter(zeros(1))], "lr": rate}
    kind: Any = optim.Adam if betas else optim.SGD
    return kind([group], lr=rate if default is None else default, **({} if betas else {"momentum": 0.5}))


def _given(schedule: Schedule, *without: str) -> dict[str, Any]:
    """The parameters of a twin, without those that its library has not."""
    names = (field.name for field in fields(schedule))  # type: ignore[arg-type]  # a kind is a dataclass
    return {name: getattr(schedule, name) for name in names if name not in ("kind", "momentum_column", *without)}


def _torch(schedule: Schedule, name: str) -> Original:
    assert isinstance(schedule, Twin)
    optimizer = _optimizer(_rate(schedule), betas="momentum" not in schedule.column_names)
    return optimizer, _torch_scheduler(schedule, optimizer)


def _rate(twin: Any) -> float:
    """The rate that the optimizer has before any scheduler: that of the first member which reads it."""
    if twin.reads_rate:
        return float(twin.base_lr)
    return max(map(_rate, twin.members), default=0.0)


def _torch_scheduler(twin: Any, optimizer: Any) -> Any:
    name = twin.kind.rpartition(".")[2]
    module = import_module("torch.optim.swa_utils" if name == "SWALR" else "torch.optim.lr_scheduler")
    given = _given(twin, *(["base_lr"] if twin.reads_rate else []))
    if "schedulers" in given:
        given["schedulers"] = [_torch_scheduler(member, optimizer) for member in twin.schedulers]
    return getattr(module, name)(optimizer=optimizer, **given)


def _transformers(schedule: Schedule, name: str) -> Original:
    from transformers.optimization import get_scheduler  # noqa: PLC0415  # another's, and slow to import

    given = _given(schedule)
    rate = given.pop("base_lr")
    optimizer = _optimizer(rate, given.pop("lr_init", None), betas=False)
    counts = {count: given.pop(count, None) for count in ("num_warmup_steps", "num_training_steps")}
    return optimizer, get_scheduler(name, optimizer, **counts, scheduler_specific_kwargs=given)


def _deepspeed(schedule: Schedule, name: str) -> Original:
    module = import_module("deepspeed.runtime.lr_schedules")  # another's, and slow to import
    given = _given(schedule)
    optimizer = _optimizer(given.pop("base_lr", 1.0))
    return optimizer, getattr(module, name)(optimizer, **given)
