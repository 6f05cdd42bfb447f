"""The contract every schedule keeps, and the types of its parameters.

A schedule is a pure function from step to value. In code it is a frozen, validated, serialisable object: it can be
printed, compared, hashed, sent as JSON and computed anywhere, and it never carries a training run's state.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, SupportsIndex, TypeVar, dataclass_transform, final, overload

import numpy as np
import pydantic
from pydantic import ConfigDict, Field, GetJsonSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema

from scheduler.fields import Floats, Many, Values, integers, is_many, resolve_types, step_index
from scheduler.hooks import Hook
from scheduler.messages.constructors import name_arguments
from scheduler.messages.descriptions import describe_schema
from scheduler.messages.display import DisplayedSchedule
from scheduler.messages.overrides import check_overrides
from scheduler.messages.warnings import PlacedWarning, ScheduleWarning, of_length, sentences
from scheduler.numerics.cancellation import windows
from scheduler.numerics.rates import first_out_of_range
from scheduler.table import Table
from scheduler.table_format import After, Axis, rate_out_of_range

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MAX_BOUNDARIES = 1000
"""Boundaries that a schedule lists."""

tabulate: Hook[..., Table] = Hook("scheduler.spec")
"""The table of a schedule for so many steps, with a layout. Warns at the line that called this one's caller."""

_FIRST_WINDOW, _LAST_WINDOW = 4096, 65536  # steps computed at once for get_lr: quick to start, cheap in a long loop


class Schedule(DisplayedSchedule):
    """The abstract schedule: what every kind promises.

    A kind is a frozen dataclass (decorator `schedule`) with its parameters in the order people pass them, a
    keyword-only `kind` and the method `_fill`. Everything else follows from those: validation, JSON, the table,
    `get_lr`, pictures, the catalogue.

    Parameters that cannot be raise `ScheduleError` (a `ValueError`): one line for each, with its name and value.
    """

    revision: ClassVar[int] = 1
    """Number of the arithmetic: raised when the values of the same parameters change, and part of the spec id."""

    kind: str

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Refuse a class whose tables would not have the values that its methods give."""
        super().__init_subclass__(**arguments)
        check_overrides(cls, Schedule)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The JSON schema of a kind, in which the docstring describes each parameter."""
        schema = handler(core_schema)
        describe_schema(cls, handler.resolve_ref_schema(schema))
        return schema

    @abstractmethod
    def _fill(self, out: Values, start: int) -> None:
        """Write the values of steps start, start + 1, ... into `out` (shape [m], contiguous, m from 1 to 2^20).

        The value of a step must not depend on `start` or on the length of `out`, bit for bit. A kind that names several
        columns (`column_names`) takes the one to write, too: `_fill(self, out, start, column="lr")`.
        """
        raise TypeError(f"{type(self).__name__} must define _fill(self, out, start), which writes its values into out")

    @property
    def end(self) -> int | None:
        """Number of steps after which the schedule only holds its last value; None where it never ends."""
        return None

    @property
    def over(self) -> int | None:
        """The step from which the schedule is over; None where the kind defines every later value.

        The libraries' schedules that have one raise there, or rise again. A composite then holds the rate of the step
        before: the last one that a training of this length applies.
        """
        return None

    @property
    def grows(self) -> bool:
        """Whether later rates may leave the valid range (`scheduler.numerics.rates`) although the first are in it."""
        return any(member.grows for member in self.members)

    @property
    def members(self) -> tuple[Schedule, ...]:
        """The schedules this one is made of."""
        return ()

    @property
    def table_digest(self) -> str | None:
        """The digest of the table that this schedule's values are a column of; None where they are computed."""
        return None

    @property
    def is_iterative(self) -> bool:
        """Whether this schedule itself, its parts aside, computes each row from the row before."""
        return False

    def walk(self) -> Iterator[Schedule]:
        """This schedule, and all that it is made of, at every depth."""
        yield self
        for member in self.members:
            yield from member.walk()

    @property
    def depth(self) -> int:
        """Levels of composition: 1 where there is none."""
        return self._depth

    @functools.cached_property
    def _depth(self) -> int:
        return 1 + max((member.depth for member in self.members), default=0)

    @property
    def is_stepped(self) -> bool:
        """Whether a step's value follows from the one before it: step n then takes n steps to compute."""
        return any(member.is_stepped for member in self.members)

    @property
    def head_start(self) -> int:
        """Steps to go through before step 0's value is known: those that a `Shift` skips of what must be stepped."""
        return max((member.head_start for member in self.members), default=0)

    @property
    def needs_previous(self) -> bool:
        """Whether it starts from a value that only its place in a composition gives it."""
        return False

    def after(self, previous: float) -> Self:
        """This schedule, started from `previous` where it needs that."""
        del previous
        return self

    def replaced(self, **changes: Any) -> Self:
        """The same schedule with other parameters, validated anew."""
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]  # every kind is a dataclass, this base is not

    def _remade(self, **changes: Any) -> Self:
        """The same schedule with other parameters, not validated: for values that are computed, not given."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__getstate__(), **changes)
        return made

    def time_scaled(self, factor: int) -> Self:
        """The same curve over `factor` times as many steps, a factor that `check_time_scaled` does not refuse."""
        raise ValueError(self._not_made_of_lengths(factor))

    def check_time_scaled(self, factor: int) -> None:
        """Raise `ValueError` where `time_scaled` cannot take this factor, or a smaller one."""
        raise ValueError(self._not_made_of_lengths(factor))

    def _not_made_of_lengths(self, factor: int) -> str:
        return f"{self.kind} cannot be scaled in time (by {factor}): its curve is not made of lengths"

    def boundaries(self, total_steps: int) -> list[int]:
        """Steps below `total_steps` at which the curve changes its formula, the first and last step included.

        At most a thousand, the earliest, because nested cycles may have millions.
        """
        steps = {0, total_steps - 1, *itertools.islice(self.inner_boundaries(total_steps), MAX_BOUNDARIES)}
        return sorted(step for step in steps if 0 <= step < total_steps)

    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        """The steps between, roughly ascending. Steps from `total_steps` on are allowed and ignored."""
        del total_steps
        return ()

    @property
    def stated_steps(self) -> int | None:
        """Number of steps that the curve is made for, which is its length where no other is given; None for no such."""
        return self.end

    @property
    def warmup_field(self) -> tuple[str, int] | None:
        """The parameter that sets the length of the warmup, and its value; None without a warmup."""
        return None

    @property
    def rising_steps(self) -> int:
        """Number of steps at the beginning in which the rate rises."""
        return self.warmup_field[1] if self.warmup_field else 0

    @property
    def afterwards(self) -> str | None:
        """Course of the rate past `stated_steps`, if worth a warning: "is held", "stays at 0", "rises again"."""
        return None if self.end is None else "is held"

    @final
    def warnings(self, total_steps: int) -> list[str]:
        """Warnings about a training of `total_steps` steps with this schedule: sentences, usually none."""
        return sentences(self.placed_warnings(total_steps))

    def placed_warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        """Warnings about `steps` steps of this schedule, alone or as a part of a composite, with their places."""
        return of_length(self, steps, part=part)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, `lr` first; more where the schedule also drives momentum or weight decay."""
        return ("lr",)

    @final
    def fill(self, out: Values, start: int = 0, *, column: str = "lr") -> None:
        """Write one column's values of steps start, start + 1, ... into `out` (float64, shape [m]).

        Growth that leaves the range of float64 gives infinity here, without a warning: `values` and tables refuse it.
        Raises `ValueError` for a negative start, `KeyError` for a column that the schedule does not drive.
        """
        if start < 0:
            raise ValueError(f"start must be >= 0, got {start}")
        if column != "lr" and column not in self.column_names:
            raise KeyError(f"{self.kind} has no column {column!r}, only {', '.join(self.column_names)}")
        others = {} if column == "lr" else {"column": column}
        with np.errstate(over="ignore", invalid="ignore"):
            for window, first in windows(out, start):
                self._fill(window, first, **others)

    @final
    def fill_held(self, out: Values, start: int = 0, *, column: str = "lr") -> None:
        """As `fill`, but from step `over` on the value before it is held, as in a composite."""
        over = self.over
        inside = len(out) if over is None else min(max(over - start, 0), len(out))
        if inside:
            self.fill(out[:inside], start, column=column)
        if inside < len(out) and over is not None:
            last = np.empty(1)
            self.fill(last, over - 1, column=column)
            out[inside:] = last

    @final
    def values(self, n: int) -> Values:
        """The learning rates of steps 0..n-1: a new read-only float64 array, shape [n].

        `values(n)[:m]` equals `values(m)` bit for bit. Raises `ValueError` for a negative n, `TableError` (one too)
        where a rate leaves the range of rates, as growth does sooner or later.
        """
        return self.columns(n)["lr"]

    @final
    def columns(self, n: int) -> dict[str, Values]:
        """Every column's values of steps 0..n-1: new read-only float64 arrays, shape [n]."""
        n = step_index(n, "n")
        columns = {name: np.empty(n) for name in self.column_names}
        self.fill_columns(columns)
        if (step := first_out_of_range(columns["lr"])) is not None:
            raise rate_out_of_range(self.kind, columns["lr"][step], step)
        for out in columns.values():
            out.flags.writeable = False
        return columns

    def fill_columns(self, columns: Mapping[str, Values], start: int = 0) -> None:
        """Write several columns of steps start, start + 1, ... A kind may override it to share work between them."""
        for name, out in columns.items():
            self.fill(out, start, column=name)

    @final
    def table(
        self, total_steps: int | None = None, *, axis: Axis = "step", stride: int = 1, after: After = "hold"
    ) -> Table:
        """The table of `stated_steps` rows, or of `total_steps`. Warns (`ScheduleWarning`) of what is rarely meant."""
        return tabulate(self, total_steps, axis=axis, stride=stride, after=after)

    @final
    def plot(
        self,
        total_steps: int | None = None,
        path: str | os.PathLike[str] | None = None,
        *,
        title: str | None = None,
        log: bool | None = None,
    ) -> Figure:
        """Draw `stated_steps` steps, or `total_steps`, and return matplotlib's Figure; save it as .png or .svg.

        `log` says whether the values stand on a log scale. Without it they do where they span decades.
        """
        return tabulate(self, total_steps).plot(path, title=title, log=log)

    @overload
    def get_lr(self, step: Many) -> Values: ...  # type: ignore[overload-overlap]  # an array has __index__, too

    @overload
    def get_lr(self, step: SupportsIndex) -> float: ...

    @final
    def get_lr(self, step: SupportsIndex | Many) -> float | Values:
        """The learning rate in force during optimizer update `step`, counted from 0; for an array of steps, an array.

        Equals `values(step + 1)[step]` bit for bit. A window of steps is computed at a time and kept, so a call in
        a loop is a look-up. Past the schedule's `end` the last value is held, with a `ScheduleWarning` given once; not
        at `end` itself, because loops log once more after the last update. Raises `ValueError` for a negative step,
        `TypeError` for one that is not an integer, `TableError` where the rate has left the range of rates.
        """
        first, window = self._window
        try:
            index = step - first  # type: ignore[operator]  # what is no number is answered below
            if index >= 0:
                return window[index]
        except (IndexError, TypeError, ValueError, RuntimeError):  # outside of the window, no integer, several steps
            pass
        return self._get_many(step) if is_many(step) else self._get_lr_outside(step)

    def _get_many(self, steps: Many) -> Values:
        asked = integers(steps, "step")
        found, places = np.unique(asked, return_inverse=True)  # ascending, so that windows follow one another
        return np.array([self.get_lr(step) for step in found.tolist()], dtype=np.float64)[places].reshape(asked.shape)

    # first step of the window, and its values as Python floats (a memoryview over the array)
    _window: ClassVar[tuple[int, Floats]] = (0, memoryview(b"").cast("d"))

    def _get_lr_outside(self, place: object) -> float:
        """Move the window to a step and read it there."""
        step = step_index(place)
        if self.end is not None and step > self.end:
            self._warn_past_end(step)
        first, window = self._next_window(step)
        # One assignment, so that threads sharing a schedule never pair one window's start with another's values.
        object.__setattr__(self, "_window", (first, window))
        return float(window[step - first])

    def _next_window(self, step: int) -> tuple[int, memoryview[float]]:
        first, window = self._window
        follows = step == first + len(window)
        size = min(max(2 * len(window), _FIRST_WINDOW), _LAST_WINDOW) if follows else _FIRST_WINDOW
        first = step if follows else step - step % _FIRST_WINDOW
        if self.end is not None and step <= self.end:
            size = min(size, self.end + 1 - first)  # a step past the end must come by here, to be warned about
        values = np.empty(size)
        self.fill(values, first)
        if first_out_of_range(values) is not None:  # the window is what lies between `step` and the next such value
            values, first = values[step - first :], step
            if (bad := first_out_of_range(values)) == 0:
                raise rate_out_of_range(self.kind, values[0], step)
            values = values[:bad]
        return first, values.data.toreadonly()  # type: ignore[return-value]  # its format is 'd': indexing gives floats

    def _warn_past_end(self, step: int) -> None:
        if "_warned" not in self.__dict__:
            object.__setattr__(self, "_warned", True)
            what = f"is past the end of this {self.kind}, which has {self.end} steps: its last value is held"
            advice = "Give the schedule as many steps as the training has."
            warnings.warn(f"step {step} {what}. {advice}", ScheduleWarning, stacklevel=4)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle and copy the parameters alone: the window is a cache."""
        return {key: value for key, value in self.__dict__.items() if not key.startswith("_")}

    def to_dict(self) -> dict[str, Any]:
        """The schedule as JSON data: `kind`, and every parameter with its default filled in."""
        data: dict[str, Any] = TypeAdapter(type(self)).dump_python(self, mode="json")
        return {"kind": data.pop("kind"), **data}


S = TypeVar("S", bound=type[Schedule])


@dataclass_transform(frozen_default=True, field_specifiers=(Field,))
def schedule(cls: S) -> S:
    """Make a class a schedule kind: a frozen pydantic dataclass that refuses unknown fields, NaN and infinity."""
    config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)
    made: S = pydantic.dataclasses.dataclass(frozen=True, config=config)(cls)  # type: ignore[assignment]  # made in place
    name_arguments(made)
    resolve_types(made)
    return made
