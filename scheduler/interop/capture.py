"""Any torch scheduler as a table: the values that it would apply in the coming steps, without a training."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from scheduler.fields import Values
from scheduler.interop.dry_run import CaptureError, TorchScheduler, dry_run, undisturbed
from scheduler.interop.group_fields import Group, Read, momentum_column, number_readers
from scheduler.table import Table
from scheduler.texts import abbreviate

Step = Callable[[Any, int], object]
"""How to step a scheduler: called with a copy of it and the number of the update to come, 1, 2, ..."""


def capture(scheduler: TorchScheduler | Any, total_steps: int, *, step: Step | None = None) -> Table:
    """Return what a torch scheduler applies from now on: `total_steps` rows, float64, found by stepping a copy.

    Row 0 holds the values in force now, during the next update, so a capture in the middle of a training gives the
    rest of it. Row k holds the values after k more steps. The scheduler, its optimizer, the random generators and the
    warnings stay as they are, and no parameter is copied (see `scheduler.interop.dry_run`).

    The columns are `lr`, and each other number of the parameter groups that the scheduler changes: `momentum`,
    `weight_decay`, `beta1` and `beta2` (those of `betas`; see `scheduler.interop.group_fields`). Where not all groups
    have the same bits, a column is one for each group: `lr.0`, `lr.1`. A rate that is a tensor is read at its own
    precision. The table has no spec and can be published by its values; past its end it holds them.

    Args:
        scheduler: an object with an `optimizer` and `step()`; with `step`, an optimizer will do.
        total_steps: rows of the table, at least 1.
        step: how to step it, where `step()` without arguments is not the way:
            `capture(scheduler, 1000, step=lambda copy, update: copy.step_update(update))` for one of timm's, and
            `capture(optimizer, 90, step=adjust_learning_rate)` for a function of optimizer and epoch. It is to change
            what it is given, and nothing else.

    Raises `TypeError` for what is no torch scheduler. Raises `CaptureError`, a `ValueError`, where a metric is needed
    (`ReduceLROnPlateau`), where the scheduler cannot be copied or raises, naming the step, where a value is not a
    single finite number, naming the step and the group, and where `step` changed the original: no capture undoes that.
    Raises `ValueError` for fewer steps than 1.
    """
    if isinstance(total_steps, bool) or not isinstance(total_steps, int) or total_steps < 1:
        raise ValueError(f"total_steps must be a whole number of at least 1, got {total_steps!r}")
    if step is not None and not callable(step):
        raise TypeError(f"step must be a function of a scheduler and a number, got {step!r}")
    with undisturbed():
        if step is None:
            return Table(_recorded(dry_run(scheduler), total_steps, _by_itself))
        return _captured_by(step, scheduler, total_steps)


def _by_itself(scheduler: TorchScheduler, update: int) -> object:
    del update
    return scheduler.step()


def _captured_by(step: Step, scheduler: Any, total_steps: int) -> Table:
    """A capture with a way of stepping that may have closed over the original."""
    original = scheduler if hasattr(scheduler, "param_groups") else getattr(scheduler, "optimizer", None)
    copied = dry_run(scheduler, own_step=True)
    before = _snapshot(original)
    columns = _recorded(copied, total_steps, step)
    if _snapshot(original) != before:
        raise CaptureError("step changed the optimizer itself, not the copy that it was given as its first argument")
    return Table(columns)


def _snapshot(optimizer: Any) -> list[dict[str, Any]]:
    """The numbers of every group, by name."""
    groups = map(number_readers, optimizer.param_groups), optimizer.param_groups
    return [{name: repr(read(group)) for name, read in readers.items()} for readers, group in zip(*groups, strict=True)]


def members(scheduler: object) -> Iterator[Any]:
    """A scheduler and those that it is made of, at every depth."""
    yield scheduler
    for member in getattr(scheduler, "_schedulers", ()):
        yield from members(member)


def _recorded(scheduler: Any, total_steps: int, step: Step) -> dict[str, Values]:
    optimizer = scheduler if hasattr(scheduler, "param_groups") else scheduler.optimizer
    tracks = _tracks(scheduler, optimizer.param_groups)
    for update in range(1, total_steps):
        _step(scheduler, update, step)
        for track in tracks:
            track.note(optimizer.param_groups, update)
    kept = {track.name for track in tracks if track.is_kept}
    columns: dict[str, dict[int, Values]] = {}
    for track in tracks:
        if track.name in kept:
            columns.setdefault(track.name, {})[track.group] = track.column(total_steps)
    return _named(columns, len(optimizer.param_groups))


def _step(scheduler: Any, update: int, step: Step) -> None:
    try:
        step(scheduler, update)
    except Exception as error:
        name = type(scheduler).__name__
        advice = "" if step is not _by_itself or not isinstance(error, TypeError) else f"; {_ADVICE}"
        raise CaptureError(f"this {name} raised at step {update}: {type(error).__name__}: {error}{advice}") from error


_ADVICE = "where step() wants arguments, say how: capture(scheduler, total_steps, step=lambda copy, update: ...)"


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
        except OverflowError as error:  # an integer, in whole or in a tensor, may be of any size
            message = f"{self.name} of group {self.group} must be finite, got a number beyond float64 at step {step}"
            raise CaptureError(message) from error
        except (TypeError, ValueError, RuntimeError) as error:
            message = (
                f"{self.name} of group {self.group} must be a single number, got {abbreviate(value)} at step {step}"
            )
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


def _tracks(scheduler: object, groups: Sequence[Group]) -> list[_Track]:
    """Every number of every group: the rate is kept, and what a member says that it drives."""
    cycling = (member for member in members(scheduler) if getattr(member, "cycle_momentum", False))
    driven = {"lr", *map(momentum_column, cycling)}
    readers = enumerate(map(number_readers, groups))
    tracks = [_Track(index, name, read) for index, of_group in readers for name, read in of_group.items()]
    for track in tracks:
        track.begin(groups, keep=track.name in driven)
    return tracks


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
