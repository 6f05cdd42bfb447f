"""A spec: the request for a table, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from scheduler.canonical import canonical_hash, canonical_json
from scheduler.fields import StepCount, plain
from scheduler.messages.errors import ABSENT, Owner, ScheduleError, read_json, schedule_error
from scheduler.messages.warnings import shortened, warn_of
from scheduler.registry import KINDS, AnySchedule
from scheduler.schedule import Schedule, tabulate
from scheduler.table import Table, read_spec
from scheduler.table_format import After, Axis, TableLayout

MAX_GROUPS = 1000


def _one_or_groups(value: object) -> str:
    return "groups" if isinstance(value, (list, tuple)) else "one"


if TYPE_CHECKING:
    OneOrGroups = Schedule | Sequence[Schedule]
else:
    OneOrGroups = Annotated[
        Annotated[AnySchedule, Tag("one")]
        | Annotated[tuple[AnySchedule, ...], Field(min_length=1, max_length=MAX_GROUPS, strict=False), Tag("groups")],
        Discriminator(_one_or_groups),  # decided by the shape, so that an error speaks of the one that was meant
    ]


ColumnName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""Name of the hyperparameter in the optimizer's groups that a column drives; Adam's betas are beta1 and beta2."""


def _several(given: OneOrGroups) -> tuple[Schedule, ...]:
    return (given,) if isinstance(given, Schedule) else tuple(given)


def _not_given() -> Any:
    """What stands for a length that was not given; null is one that was, and is refused."""
    return ABSENT


def _group_count(given: OneOrGroups) -> int | None:
    """Number of parameter groups that have a schedule of their own; None where one serves all."""
    return None if isinstance(given, Schedule) else len(given)


class Spec(BaseModel):
    """What a table is computed from: schedules, length, and what the rows count.

    `schedule` drives the learning rate, and what else its kind drives; `columns` drive other hyperparameters beside it:
    `{"weight_decay": Ramp(0.04, 0.4, 1000, "cosine")}`. Each is one schedule for all parameter groups, or a list with
    one per group.

    A spec is refused where the table is longer than a schedule that has an end, because the two step counts
    contradict each other. A table may be shorter than its schedule (the first steps of a long run). Without
    `total_steps` the table has the length that the schedules state (`stated_length`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schedule: OneOrGroups = Field(description="the schedule, or a list with one per parameter group")
    columns: dict[ColumnName, OneOrGroups] = Field(
        default_factory=dict,
        description="schedules of momentum, beta1, weight_decay, ... beside lr, each one or a list",
    )
    total_steps: StepCount = Field(
        default_factory=_not_given,
        validate_default=True,
        description="rows of the table: steps 0..total_steps-1; without it, the length that the schedules state",
    )
    axis: Axis = Field("step", description="what the rows count")
    stride: StepCount = Field(1, description="units of progress per row")
    after: After = Field("hold", description="past the last row: hold its values, raise an error, or release the rate")

    if not TYPE_CHECKING:  # where the fields are the signature

        def __init__(self, /, **given: Any) -> None:
            """The spec with these fields. Raises `ScheduleError` (a `ValueError`), a line for each that is wrong."""
            given = plain(given)
            try:
                super().__init__(**given)
            except ValidationError as error:
                raise _refusal(error, given) from None

        __init__.__pydantic_base_init__ = True  # else pydantic would call it for each spec that it reads

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """The spec in Python data; see `pydantic.BaseModel.model_validate`. Raises `ScheduleError`."""
        obj = plain(obj)
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise _refusal(error, obj) from None

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """The spec in JSON text; see `pydantic.BaseModel.model_validate_json`. Raises `ScheduleError`."""
        try:
            return super().model_validate_json(json_data, **options)
        except ValidationError as error:
            raise _refusal(error, read_json(json_data)) from None

    @field_validator("total_steps", mode="before")
    @classmethod
    def _or_stated(cls, given: Any, info: ValidationInfo) -> Any:
        """The length that was given, or the one that the schedules state."""
        if given is not ABSENT:
            return given
        if not {"schedule", "columns"} <= info.data.keys():
            return 1  # they were refused, and so is the spec
        schedules = [
            schedule for part in (info.data["schedule"], *info.data["columns"].values()) for schedule in _several(part)
        ]
        if (steps := stated_length(schedules)) is None:
            raise PydanticCustomError("missing", "is missing: {why}", {"why": _why_no_length(schedules)})
        return steps

    @model_validator(mode="after")
    def _check(self) -> Self:
        for schedule in self.every_schedule():
            if schedule.needs_previous:
                raise ValueError(f'this {schedule.kind} starts from "previous", and nothing goes before it')
            if schedule.end is not None and self.total_steps > schedule.end:
                raise ValueError(
                    f"total_steps must be <= {schedule.end}, where this {schedule.kind} ends, got {self.total_steps}; "
                    "past a table's last row its values are held anyway"
                )
        self._check_columns()
        return self

    def _check_columns(self) -> None:
        driven = {name for schedule in self.schedules for name in schedule.column_names}
        counts = {"schedule": _group_count(self.schedule)}
        for name, given in self.columns.items():
            if name in driven:
                raise ValueError(f"columns must not name {name!r}, which the schedule itself drives")
            for schedule in _several(given):
                if schedule.column_names != ("lr",):
                    raise ValueError(f"the schedule of column {name!r} must drive one value, got {schedule.kind}")
            counts[name] = _group_count(given)
        if len({number for number in counts.values() if number is not None}) > 1:
            raise ValueError(f"the numbers of parameter groups must agree, got {counts}")

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """The schedules, one per parameter group where there are several."""
        return _several(self.schedule)

    def every_schedule(self) -> Iterator[Schedule]:
        """The schedules of lr and of the other columns."""
        yield from self.schedules
        for given in self.columns.values():
            yield from _several(given)

    def plan(self) -> dict[str, tuple[Schedule, str]]:
        """Column name to the schedule and the schedule's column that fill it.

        Columns are named after what they drive; with one schedule per parameter group they end in the group's number.
        """
        plan: dict[str, tuple[Schedule, str]] = {}
        for own, given in [("", self.schedule), *self.columns.items()]:
            for group, schedule in enumerate(_several(given)):
                suffix = "" if _group_count(given) is None else f".{group}"
                plan |= {f"{own or name}{suffix}": (schedule, name) for name in schedule.column_names}
        return plan

    @property
    def layout(self) -> TableLayout:
        """The columns of the table, its length, what its rows count, and what happens past its last row."""
        columns = tuple(sorted(self.plan()))
        return TableLayout(columns, self.total_steps, axis=self.axis, stride=self.stride, after=self.after)

    def table(self) -> Table:
        """The table of this spec, computed here. Raises `TableError` where a value leaves the floats."""
        return Table.compute(self)

    def call(self) -> str:
        """The table of this spec as Python makes it, with the classes' names imported."""
        if self.columns or not isinstance(self.schedule, Schedule):
            return f"{self!r}.table()"
        layout = {"axis": self.axis, "stride": self.stride, "after": self.after}
        usual = {name: Spec.model_fields[name].default for name in layout}
        options = "".join(f", {name}={value!r}" for name, value in layout.items() if value != usual[name])
        return f"{self.schedule!r}.table({self.total_steps}{options})"

    def warnings(self) -> list[str]:
        """Warnings about a training with this table: sentences, usually none."""
        places = [("", self.schedule), *((f"columns.{name}: ", given) for name, given in self.columns.items())]
        return shortened(
            f"{place}{text}"
            for place, given in places
            for schedule in _several(given)
            for text in schedule.warnings(self.total_steps)
        )

    def warn(self, *, stacklevel: int = 2) -> None:
        """Issue each warning as a `ScheduleWarning`, at the line `stacklevel` calls up."""
        warn_of(self.warnings(), stacklevel=stacklevel + 2)

    def canonical(self) -> str:
        """The RFC 8785 JSON of the spec, every default filled in."""
        return canonical_json(self.model_dump(mode="json"))

    @cached_property
    def id(self) -> str:
        """SHA-256 of the canonical spec and of each kind's revision, 64 hexadecimal digits.

        The revisions are in it because a corrected formula must not be served from an old store.
        """
        data: dict[str, Any] = self.model_dump(mode="json")
        data["revisions"] = {part.kind: part.revision for top in self.every_schedule() for part in top.walk()}
        return canonical_hash(data)


def _refusal(error: ValidationError, data: Any) -> ScheduleError:
    return schedule_error(error, data, Owner("Spec", Spec), KINDS)


def stated_length(schedules: Iterable[Schedule]) -> int | None:
    """The length of a table of these schedules where no other is given: the one that all agree on which state one.

    It is the default of `Spec` and of what makes one: `show`, `compare`, `Schedule.table`, `Schedule.plot`,
    `Client.fetch` and the service. None where none of them states a length (`Schedule.stated_steps`), or two state
    different ones.
    """
    lengths = {schedule.stated_steps for schedule in schedules} - {None, 0}
    return lengths.pop() if len(lengths) == 1 else None


def needed_length(schedules: Sequence[Schedule], total_steps: int | None) -> int:
    """Return `total_steps`, or the stated length where it is None. Raises `ValueError` where there is none, either."""
    steps = stated_length(schedules) if total_steps is None else total_steps
    if steps is None:
        raise ValueError(f"total_steps is needed: {_why_no_length(schedules)}")
    return steps


def _why_no_length(schedules: Sequence[Schedule]) -> str:
    """Why these schedules state no length."""
    stated = sorted({schedule.stated_steps for schedule in schedules if schedule.stated_steps})
    if stated:
        return f"the schedules state different lengths, {', '.join(map(str, stated))}"
    return f"{', '.join(dict.fromkeys(schedule.kind for schedule in schedules))} has no end of its own"


def _table_of(schedule: Schedule, total_steps: int | None, **layout: Any) -> Table:
    """The table of a schedule; a user's own kind has no spec."""
    total_steps = needed_length([schedule], total_steps)
    if schedule.kind not in KINDS:
        warn_of(schedule.warnings(total_steps), stacklevel=5)  # called by the hook, and that by the schedule
        return Table(schedule.columns(total_steps), **layout)
    spec = Spec(schedule=schedule, total_steps=total_steps, **layout)
    spec.warn(stacklevel=4)
    return spec.table()


def _claimed_spec(text: str) -> Spec | None:
    """The spec that a file claims its values were computed from."""
    try:
        return Spec.model_validate_json(text)
    except (ValueError, RecursionError):
        return None


tabulate.provide(_table_of)
read_spec.provide(_claimed_spec)
