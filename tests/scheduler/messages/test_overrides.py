"""A subclass of a schedule keeps the values of its name, or does not come to be."""

from __future__ import annotations

import abc
import copy
import dataclasses
import pickle
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import pytest

from scheduler import KINDS, CachedScheduler, Schedule, ScheduleError, Spec
from scheduler.builtin import ExponentialLR, OneCycleLR, StepLR
from scheduler.compose import Sequence
from scheduler.compose.literal import Literal as Given
from scheduler.custom import LinearWarmup
from scheduler.fields import Rate, StepCount, Values
from scheduler.schedule import schedule

FOLLOWS = ["get_lr", "fill", "values", "columns", "table", "plot"]
WAYS = r"What works: a kind of your own, .*`kind`.*`_fill`; CachedScheduler\(.*\); capture\("


def method(self: Any, *arguments: Any, **named: Any) -> Any:
    """Whatever a user writes."""
    raise AssertionError("nobody calls this")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("name", FOLLOWS)
def test_what_follows_from_the_values_is_not_overridden(kind: type[Schedule], name: str) -> None:
    """A class that overrides get_lr, or another way to the values, is refused when it is made, with what works."""
    with pytest.raises(TypeError, match=f"^Mine must not override {name}, which follows from _fill: {WAYS}"):
        type("Mine", (kind,), {name: method})


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_nothing_of_an_inherited_kind_is_changed(kind: type[Schedule]) -> None:
    """Whatever a kind consists of, its fields and helpers included, a class with the same name does not change it."""
    fields = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]  # every kind is a dataclass
    helpers = [name for part in kind.__mro__[:-1] for name in vars(part) if not name.startswith("__")]
    for name in {*fields, *helpers} - {*FOLLOWS, "kind"}:
        with pytest.raises(TypeError, match=f"Mine must not override {name}"):
            type("Mine", (kind,), {name: method})


def test_a_mixin_changes_nothing_either() -> None:
    """It is what a class ends up with that counts, whichever base it is from."""

    class Louder:
        def _fill(self, out: Values, start: int) -> None:
            out[:] = 1.0

    with pytest.raises(TypeError, match="Mine must not override _fill of LinearWarmup: it has no kind of its own"):
        type("Mine", (Louder, LinearWarmup), {})
    assert type("Mine", (LinearWarmup, Louder), {})(0.1, 5).get_lr(9) == 0.1


def test_a_kind_of_its_own_has_a_name_of_its_own() -> None:
    """A class that repeats its base's kind is no kind of its own."""
    with pytest.raises(TypeError, match="Mine must not override _fill of LinearWarmup"):
        type("Mine", (LinearWarmup,), {"kind": "custom.LinearWarmup", "_fill": method})


T = TypeVar("T")


class Named(LinearWarmup):
    """A subclass with its own constructor, text and methods."""

    label = "ours"

    def __init__(self, steps: int) -> None:
        super().__init__(0.5, steps)

    def __str__(self) -> str:
        return self.label

    def peak(self) -> float:
        """A method of its own."""
        return self.base_lr


class Marked(LinearWarmup, abc.ABC, Generic[T]):
    """A subclass with the machinery of others."""


def test_a_subclass_that_changes_no_value_is_its_kind() -> None:
    """It computes, is sent, copied and pickled as the kind whose name it has."""
    named = Named(4)
    assert (str(named), named.peak(), named.get_lr(0)) == ("ours", 0.5, 0.125)
    assert named.table(9) == LinearWarmup(0.5, 4).table(9)
    assert Spec(schedule=named, total_steps=9).id == Spec(schedule=LinearWarmup(0.5, 4), total_steps=9).id
    assert Sequence([named, named], [4, 4]).get_lr(4) == 0.125
    for again in (copy.deepcopy(named), pickle.loads(pickle.dumps(named))):
        assert again.to_dict() == named.to_dict()
    assert Marked[int](0.5, 4).table(9) == named.table(9)


@schedule
class Halving(Schedule):
    """A user's own kind.

    Formula: lr(t) = base_lr / 2^floor(t / every).
    """

    base_lr: Rate
    every: StepCount = 2
    _: dataclasses.KW_ONLY
    kind: Literal["mine.Halving"] = "mine.Halving"

    def _fill(self, out: Values, start: int) -> None:
        out[:] = self.base_lr * 0.5 ** (np.arange(start, start + len(out)) // self.every)


@schedule
class Doubled(LinearWarmup):
    """A kind of its own that is made of another."""

    kind: Literal["mine.Doubled"] = "mine.Doubled"  # type: ignore[assignment]  # another kind than its base's

    def _fill(self, out: Values, start: int) -> None:
        super()._fill(out, start)
        out *= 2.0


def test_a_kind_of_ones_own_is_a_schedule() -> None:
    """One class gives validation, JSON, values, get_lr and a table, which has no spec: nobody else knows the kind."""
    halving = Halving(0.8)
    table = halving.table(6, axis="epoch", after="error")
    assert table.lr.tolist() == halving.values(6).tolist() == [0.8, 0.8, 0.4, 0.4, 0.2, 0.2]
    assert (table.spec, table.axis, table.after) == (None, "epoch", "error")
    assert [halving.get_lr(step) for step in (5, 0)] == [0.2, 0.8]
    assert halving.to_dict() == {"kind": "mine.Halving", "base_lr": 0.8, "every": 2}
    assert CachedScheduler(halving, 6).table.lr.tolist() == table.lr.tolist()
    assert Sequence([Given(table.lr.tolist()), Given([0.1])], [6, 1]).get_lr(6) == 0.1
    with pytest.raises(ScheduleError, match="Halving: every must be greater than or equal to 1, got 0"):
        Halving(0.8, 0)
    with pytest.raises(ScheduleError, match=r"Spec: schedule: this is a kind of your own"):
        Spec(schedule=halving, total_steps=6)


def test_a_kind_made_of_another_has_its_own_values() -> None:
    """With a kind of its own a class may change what it inherits, and is never taken for its base."""
    doubled = Doubled(0.5, 4)
    assert doubled.values(5).tolist() == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert doubled.table(5).lr.tolist() == doubled.values(5).tolist()
    with pytest.raises(ScheduleError, match=r"Sequence: schedules\[0\]: this is a kind of your own"):
        Sequence([doubled], [4])


@schedule
class WithDecay(Schedule):
    """A user's own kind that drives two columns: weight decay is a tenth of the rate."""

    base_lr: Rate
    _: dataclasses.KW_ONLY
    kind: Literal["mine.WithDecay"] = "mine.WithDecay"

    @property
    def column_names(self) -> tuple[str, ...]:
        return ("lr", "weight_decay")

    def _fill(self, out: Values, start: int, column: str = "lr") -> None:
        out[:] = self.base_lr / np.arange(start + 1, start + 1 + len(out))
        if column == "weight_decay":
            out /= 10


def test_a_kind_of_several_columns_is_told_which_one_to_fill() -> None:
    """`_fill` of a kind that names several columns gets the column's name, and the table has them all."""
    table = WithDecay(0.5).table(2)
    assert {name: column.tolist() for name, column in table.columns.items()} == {
        "lr": [0.5, 0.25],
        "weight_decay": [0.05, 0.025],
    }
    with pytest.raises(KeyError, match="has no column 'momentum', only lr, weight_decay"):
        WithDecay(0.5).fill(np.empty(2), column="momentum")


@pytest.mark.parametrize("base", [Schedule, OneCycleLR], ids=lambda base: base.__name__)
def test_a_fill_that_cannot_know_the_column_is_refused(base: type[Schedule]) -> None:
    """Where a class names several columns, or its base does, its `_fill` takes the column: the error has the line."""

    def fill(self: Any, out: Values, start: int) -> None:
        raise AssertionError("nobody calls this")

    columns = {"column_names": WithDecay.column_names} if base is Schedule else {}
    with pytest.raises(
        TypeError, match=r'Mine\._fill must take the column, .*: def _fill\(self, out, start, column="lr"\)'
    ):
        type("Mine", (base,), {"kind": "mine.Mine", "_fill": fill, **columns})


def test_a_kind_that_is_not_decorated_is_refused() -> None:
    """Without the decorator an object would have its base's kind: making one is refused."""

    class Forgotten(StepLR):
        kind: Literal["mine.Forgotten"] = "mine.Forgotten"  # type: ignore[assignment]  # that is what it is about

        def _fill(self, out: Values, start: int) -> None:
            out[:] = 7.0

    with pytest.raises(TypeError, match="Forgotten has a kind of its own, and must be decorated with"):
        Forgotten(0.1, 3)


@pytest.mark.parametrize("decorate", [schedule, lambda made: made], ids=["decorated", "plain"])
def test_a_kind_without_values_is_an_error_and_no_memory_of_others(decorate: Any) -> None:
    """Where `_fill` was forgotten, every way to the values says so: an array that nobody has filled is not given."""

    @decorate
    class Empty(Schedule):
        kind: Literal["mine.Empty"] = "mine.Empty"

        def fill_(self, out: Values, start: int) -> None:
            out[:] = 1.0

    empty = Empty()  # type: ignore[abstract]  # mypy sees it, too
    for ask in (lambda: empty.get_lr(0), lambda: empty.values(9), lambda: empty.table(9)):
        with pytest.raises(TypeError, match=r"^Empty must define _fill\(self, out, start\)"):
            ask()


def test_a_class_without_a_kind_says_what_is_missing() -> None:
    """The error has the line to write."""

    @schedule
    class Nameless(Schedule):
        base_lr: Rate

        def _fill(self, out: Values, start: int) -> None:
            out[:] = self.base_lr

    with pytest.raises(TypeError, match=r"^Nameless must have a kind of its own.* = 'mine\.Nameless'"):
        Nameless(0.1)


def test_an_exponential_of_ones_own_does_not_train_with_its_parents_numbers() -> None:
    """The class that people write first is refused where they write it."""
    with pytest.raises(TypeError, match="Warm must not override get_lr"):

        class Warm(ExponentialLR):
            def get_lr(self, step: int) -> float:  # type: ignore[misc, override]  # final: mypy sees it, too
                return 0.1
