"""Any torch scheduler as a table: what it would apply in the steps to come, without a training."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from scheduler.rehearsal import CaptureError, TorchScheduler, rehearsal, undisturbed
from scheduler.schedule import Values
from scheduler.table import Table

Group = dict[str, Any]
"""One entry of `optimizer.param_groups`."""
Read = Callable[[Group], Any]
"""How to read a hyperparameter from a parameter group."""


def capture(scheduler: TorchScheduler, total_steps: int) -> Table:
    """What a torch scheduler applies from now on: `total_steps` rows, float64, got by stepping a copy of it.

    Row 0 holds the values in force now, during the next update, so that a capture in the middle of a training gives
    the rest of it; row k those after k more steps, `total_steps` - 1 steps in all. Nothing of the scheduler, its
    optimizer, the random generators or the warnings changes, and no parameter is copied (see `scheduler.rehearsal`).

    The columns are `lr`, and each other number of the parameter groups that the scheduler changes: `momentum`, `beta1`
    (the first of `betas`), `weight_decay`. Where not all groups have the same bits, a column is one for each group:
    `lr.0`, `lr.1`. A rate that is a tensor is read at its own precision. The table has no spec and can be published by
    its values; past its end it holds them.

    Raises `TypeError` for what is no torch scheduler. Raises `CaptureError`, a `ValueError`, where a metric is needed
    (`ReduceLROnPlateau`), where the scheduler cannot be copied or raises, naming the step, and where a value is not a
    single finite number, naming the step and the group. Raises `ValueError` for fewer steps than 1.
    """
    if isinstance(total_steps, bool) or not isinstance(total_steps, int) or total_steps < 1:
        raise ValueError(f"total_steps must be a whole number of at least 1, got {total_steps!r}")
    with undisturbed():
        return Table(_recorded(rehearsal(scheduler), total_steps))


def members(scheduler: object) -> Iterator[Any]:
    """A scheduler and those that it is made of, at every depth."""
    yield scheduler
    for member in getattr(scheduler, "_schedulers", ()):
        yield from members(member)


def _recorded(scheduler: TorchScheduler, total_steps: int) -> dict[str, Values]:
    tracks = _tracks(scheduler)
    for step in range(1, total_steps):
        _step(scheduler, step)
        groups = scheduler.optimizer.param_groups
        for track in tracks:
            track.note(groups, step)
    kept = {track.name for track in tracks if track.is_kept}
    columns: dict[str, dict[int, Values]] = {}
    for track in tracks:
        if track.name in kept:
            columns.setdefault(track.name, {})[track.group] = track.column(total_steps)
    return _named(columns, len(scheduler.optimizer.param_groups))


def _step(scheduler: TorchScheduler, step: int) -> None:
    try:
        scheduler.step()
    except Exception as error:
        name = type(scheduler).__name__
        raise CaptureError(f"this {name} raised at step {step}: {type(error).__name__}: {error}") from error


class _Track:
    """One hyperparameter of one group. Its values are kept from the step on at which it first changes, or from 0."""

    def __init__(self, group: int, name: str, read: Read) -> None:
        self.group, self.name = group, name
        self._read = read
        self._first = 0.0
        self._values: array[float] | None = None

    def begin(self, groups: Sequence[Group], *, keep: bool) -> None:
        """Take the value in force at step 0; `keep`: even if it never changes."""
        self._first = self._number(groups, 0)
        self._values = array("d", [self._first]) if keep else None

    def note(self, groups: Sequence[Group], step: int) -> None:
        """Take the value in force at a step; the steps come in order."""
        value = self._number(groups, step)
        if self._values is None:
            if value == self._first:
                return
            self._values = array("d", [self._first]) * step
        self._values.append(value)

    def _number(self, groups: Sequence[Group], step: int) -> float:
        value = self._read(groups[self.group])
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError) as error:
            message = f"{self.name} of group {self.group} must be a single number, got {value!r} at step {step}"
            raise CaptureError(message) from error

    @property
    def is_kept(self) -> bool:
        """Whether there is more to say than one number."""
        return self._values is not None

    def column(self, total_steps: int) -> Values:
        """The values of all steps, shape [total_steps]. Raises `CaptureError` where one is not finite."""
        values = np.full(total_steps, self._first) if self._values is None else np.frombuffer(self._values)
        finite = np.isfinite(values)
        if not finite.all():
            step = int(np.argmin(finite))
            raise CaptureError(f"{self.name} of group {self.group} must be finite, got {values[step]} at step {step}")
        return values


def _tracks(scheduler: TorchScheduler) -> list[_Track]:
    """Every number of every group: the rate is kept, and what a member says that it drives."""
    driven = {"lr", *(_cycled(member) for member in members(scheduler) if getattr(member, "cycle_momentum", False))}
    groups = scheduler.optimizer.param_groups
    tracks = [_Track(index, name, read) for index, group in enumerate(groups) for name, read in _readers(group).items()]
    for track in tracks:
        track.begin(groups, keep=track.name in driven)
    return tracks


def _cycled(scheduler: Any) -> str:
    """What torch's CyclicLR and OneCycleLR drive beside the rate."""
    return "beta1" if scheduler.use_beta1 else "momentum"


def _readers(group: Group) -> dict[str, Read]:
    """Column name to reader, for the rate and every other number in a group."""
    names = [key for key, value in group.items() if key == "lr" or _is_number(value)]
    betas = [i for i, beta in enumerate(group.get("betas", ())) if _is_number(beta)]
    readers: dict[str, Read] = {name: itemgetter(name) for name in names}
    return readers | {f"beta{i + 1}": partial(_beta, i) for i in betas}


def _beta(index: int, group: Group) -> Any:
    return group["betas"][index]


def _is_number(value: Any) -> bool:
    from torch import is_tensor  # noqa: PLC0415  # an extra, and slow to import

    return value.numel() == 1 if is_tensor(value) else isinstance(value, int | float) and not isinstance(value, bool)


def _named(columns: Mapping[str, Mapping[int, Values]], groups: int) -> dict[str, Values]:
    """The table's columns: one for all groups where they have the same bits, else one for each."""
    named = {}
    for name, by_group in columns.items():
        first, *others = by_group.values()
        if len(by_group) == groups and all(_same_bits(first, other) for other in others):
            named[name] = first
        else:
            named |= {f"{name}.{group}": values for group, values in by_group.items()}
    return named


def _same_bits(left: Values, right: Values) -> bool:
    return np.array_equal(left.view(np.int64), right.view(np.int64))
