"""Errors in a schedule or a spec: the same sentences in Python, the commands and the server."""

from __future__ import annotations

import copy
import json
import pickle
import re
import traceback
from collections.abc import Callable
from dataclasses import KW_ONLY
from types import SimpleNamespace
from typing import Any
from typing import Literal as Literal_

import numpy as np
import pytest

import lrtables
import scheduler
from scheduler import KINDS, Schedule, ScheduleError, Spec, builtin, parse
from scheduler.compose import Constant, Ramp, Scale, Sequence
from scheduler.compose.literal import Literal
from scheduler.custom import CyclicLR, LinearWarmup, WarmupWithDecay
from scheduler.fields import Rate, Values
from scheduler.messages.errors import MOST_PROBLEMS
from scheduler.schedule import schedule

RAMP: dict[str, Any] = {"kind": "Ramp", "start": 0.1, "stop": 0.0, "length": 5}
WARMUP: dict[str, Any] = {"kind": "custom.LinearWarmup", "base_lr": 0.1, "warmup_steps": 5}
LIBRARY = ("validation error", "ArgsKwargs", "https:", "input_value", "type=", "Input ", "pydantic")


def refusal(make: Callable[[], object]) -> ScheduleError:
    """The error that something raises, in which there is nothing of the library that found it."""
    with pytest.raises(ScheduleError, match=r".") as caught:
        make()
    shown = "".join(traceback.format_exception_only(caught.value)) + str(caught.value)
    assert [words for words in LIBRARY if words in shown] == []
    assert all(len(line) < 300 for line in shown.splitlines())
    return caught.value


def bad(**arguments: Any) -> Callable[[], LinearWarmup]:
    """A warmup made of such arguments."""
    return lambda: LinearWarmup(**arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: WarmupWithDecay(5e-4, 10_000, 250),
            "WarmupWithDecay: warmup_steps must be <= total_steps, got 10000 > 250",
        ),
        (
            bad(base_lr=1e-3, warmup_step=100),
            "LinearWarmup has no parameter 'warmup_step': did you mean warmup_steps?",
        ),
        (
            bad(base_lr=1e-3, warmup_steps=1, gamma=2),
            "LinearWarmup has no parameter 'gamma': it has base_lr, warmup_steps",
        ),
        (bad(base_lr=1e-3), "LinearWarmup: warmup_steps is missing"),
        (
            bad(base_lr=-1, warmup_steps=1.5),
            "LinearWarmup: base_lr must be greater than or equal to 0, got -1.0\n"
            "LinearWarmup: warmup_steps must be a valid integer, got 1.5",
        ),
        (lambda: Constant(-1), "Constant: value must be greater than or equal to 0 or 'previous', got -1.0"),
        (
            lambda: CyclicLR(1e-4, 0.1, 5, mode="up"),  # type: ignore[arg-type]  # that is what it is about
            "CyclicLR: mode must be 'triangular', 'triangular2' or 'exp_range', got 'up'",
        ),
        (
            lambda: Sequence([Ramp(1, 0, 5)], [-5]),
            "Sequence: lengths[0] must be greater than or equal to 0, got -5",
        ),
        (lambda: Sequence([], []), "Sequence: schedules must have at least 1 item, got []"),
        (lambda: Sequence([3], [5]), "Sequence: schedules[0] must be a schedule, got 3"),  # type: ignore[list-item]  # the same
        (
            lambda: Sequence([RAMP | {"length": -1}], [5]),  # type: ignore[list-item]  # data, as from a file
            "Sequence: schedules[0].length must be greater than or equal to 0, got -1",
        ),
        (lambda: LinearWarmup("0.1", 5), "LinearWarmup: base_lr must be a valid number, got '0.1' as text"),  # type: ignore[arg-type]  # as from a file
        (
            lambda: LinearWarmup("1e-3", 5),  # type: ignore[arg-type]  # what YAML makes of 1e-3
            "LinearWarmup: base_lr must be a valid number, got '1e-3' as text: "
            "in YAML such a number needs a dot and a sign, as 1.0e-3",
        ),
        (
            lambda: Literal("0.1"),  # type: ignore[arg-type]  # the same
            "Literal: given must be a list, got '0.1'",
        ),
        (
            lambda: builtin.ChainedScheduler([Ramp(1, 0, 5)]),  # type: ignore[list-item]  # the same
            "ChainedScheduler: schedulers[0]: kind must begin with 'torch.', got 'Ramp'",
        ),
        (lambda: builtin.MultiStepLR(0.1, 5), "MultiStepLR: milestones must be a list, got 5"),  # type: ignore[arg-type]  # the same
        (lambda: Ramp(1, 0, 5).replaced(lenght=3), "Ramp has no parameter 'lenght': did you mean length?"),
    ],
)
def test_a_constructor_says_what_is_wrong(make: Callable[[], object], message: str) -> None:
    """Every constructor raises a `ValueError` of ours: a line for each parameter, with its rule and its value."""
    error = refusal(make)
    assert isinstance(error, ValueError)
    assert str(error) == message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (WARMUP | {"base_lr": -1}, "custom.LinearWarmup: base_lr must be greater than or equal to 0, got -1.0"),
        (WARMUP | {"one": 1}, "custom.LinearWarmup has no parameter 'one': it has base_lr, warmup_steps"),
        (
            {"kind": "Sequence", "schedules": [RAMP, RAMP | {"length": -1}], "lengths": [5, 5]},
            "Sequence: schedules[1].length must be greater than or equal to 0, got -1",
        ),
        (
            {"kind": "Sequence", "schedules": [{"kind": "Ramp", "start": 1, "stop": 0, "lenght": 1}], "lengths": [5]},
            "Sequence: schedules[0]: Ramp has no parameter 'lenght': did you mean length?",
        ),
        (
            {"kind": "Scale", "factor": 2, "schedule": {"kind": "Scale", "factor": 2, "schedule": {"kind": "Rump"}}},
            "Scale: schedule.schedule: unknown kind 'Rump': did you mean Ramp?",
        ),
        ({"kind": "custom.LinearWarmap"}, "unknown kind 'custom.LinearWarmap': did you mean custom.LinearWarmup"),
        ({"kind": "zzz"}, "unknown kind 'zzz': 'lrtables show' and /v1/schedules list them all"),
        ({"kind": ["Ramp"]}, "unknown kind ['Ramp']: did you mean Ramp?"),
        ({"base_lr": 1}, "the data has no kind, such as custom.WarmupWithDecay"),
        ([1], "the data must be an object, got [1]"),
        ("{", "this is no JSON: EOF while parsing an object at line 1 column 1"),
        (b"\xff", "this is no JSON: expected value at line 1 column 1"),
        ("[" * 100_000, "this JSON is nested too deeply"),
    ],
)
def test_parse_says_what_is_wrong_and_where(data: Any, message: str) -> None:
    """JSON data is refused by the kind and the path; an unknown kind with those of a similar name, on one line."""
    assert str(refusal(lambda: parse(data))).startswith(message)


def test_data_that_json_cannot_hold_is_a_type_error() -> None:
    """Where no JSON can be made of it, the error says what `parse` takes."""
    with pytest.raises(TypeError, match=r"parse takes JSON text, or data that JSON can hold: .*int64"):
        parse(WARMUP | {"warmup_steps": np.int64(5)})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"total_step": 5}, "Spec has no parameter 'total_step': did you mean total_steps?"),
        ({}, "Spec: total_steps is missing: custom.LinearWarmup has no end of its own"),
        (
            {
                "columns": {
                    "beta1": {"kind": "Ramp", "start": 1, "stop": 0, "length": 9},
                    "beta2": {"kind": "Ramp", "start": 1, "stop": 0, "length": 8},
                }
            },
            "Spec: total_steps is missing: the schedules state different lengths, 8, 9",
        ),
        ({"total_steps": "x"}, "Spec: total_steps must be a valid integer, got 'x'"),
        ({"total_steps": 5, "axis": "day"}, "Spec: axis must be 'step', 'epoch', 'sample' or 'token', got 'day'"),
        (
            {"total_steps": 9, "columns": {"beta1": {"kind": "Constant", "value": "previous"}}},
            'Spec: this Constant starts from "previous", and nothing goes before it',
        ),
    ],
)
def test_a_spec_says_what_is_wrong(fields: dict[str, Any], message: str) -> None:
    """A spec is refused with the same words in Python, and as JSON data and text."""
    data = {"schedule": WARMUP, **fields}
    from_python: dict[str, Any] = {name: parse(value) if name == "schedule" else value for name, value in data.items()}
    from_python |= {"columns": {name: parse(value) for name, value in data.get("columns", {}).items()}}
    assert str(refusal(lambda: Spec(**from_python))) == message
    assert str(refusal(lambda: Spec.model_validate(from_python))) == message
    assert str(refusal(lambda: Spec.model_validate_json(json.dumps(data)))) == message


def test_what_is_no_text_is_no_json() -> None:
    """A spec is read from text: anything else is refused like any other data."""
    assert "JSON" in str(refusal(lambda: Spec.model_validate_json(5)))  # type: ignore[arg-type]  # that is what it is about
    assert str(refusal(lambda: Spec.model_validate(5))).startswith("Spec: the data must be")


def test_a_spec_names_the_group_and_the_column() -> None:
    """Inside a spec the path leads to the group, or the column, and into the schedule."""
    data = {"schedule": [WARMUP, WARMUP | {"base_lr": -1}], "columns": {"beta1": {"kind": "Rump"}}, "total_steps": 5}
    assert str(refusal(lambda: Spec.model_validate_json(json.dumps(data)))).splitlines() == [
        "Spec: schedule[1].base_lr must be greater than or equal to 0, got -1.0",
        "Spec: columns.beta1: unknown kind 'Rump': did you mean Ramp?",
    ]


def test_a_table_and_a_client_pass_the_sentence_on() -> None:
    """Functions that make a spec of their arguments raise the spec's error."""
    assert str(refusal(lambda: Ramp(1, 0, 5).table(0))).startswith("Spec: total_steps must be")
    with lrtables.Client("http://localhost:1", deadline=1) as client:
        assert str(refusal(lambda: client.fetch(Ramp(1, 0, 5), 0))).startswith("Spec: total_steps must be")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_speaks_like_this(kind: str) -> None:
    """Without parameters, with one too many, and with values of the wrong type, no kind shows a library's words."""
    made: Any = KINDS[kind]
    names = [name for name in made.__pydantic_fields__ if name != "kind"]
    assert str(refusal(lambda: made(nothing=1))).splitlines()[-1].startswith(f"{made.__name__} has no parameter")
    for line in str(refusal(lambda: made(**dict.fromkeys(names, object())))).splitlines():
        assert line.startswith(f"{made.__name__}: ")


def test_an_enormous_error_is_short() -> None:
    """Of a thousand bad values the first ones are named, and long values are shortened."""
    lines = str(refusal(lambda: Literal([-1.0] * 1000))).splitlines()
    assert lines[0] == "Literal: given[0] must be greater than or equal to 0, got -1.0"
    assert (len(lines), lines[-1]) == (MOST_PROBLEMS + 1, "and more")
    assert len(str(refusal(bad(base_lr="x" * 10_000, warmup_steps=1)))) < 200
    assert "\n" not in str(refusal(bad(base_lr=np.zeros((30, 30)), warmup_steps=1)))


def test_calls_that_python_refuses_stay_type_errors() -> None:
    """Too many arguments, or one given twice, are wrong calls as they are of any function."""
    with pytest.raises(TypeError, match=r"LinearWarmup takes 2 parameters \(base_lr, warmup_steps\), got 3"):
        LinearWarmup(1, 2, 3)  # type: ignore[call-arg, arg-type]  # that is what it is about
    with pytest.raises(TypeError, match="LinearWarmup got base_lr twice"):
        LinearWarmup(1, 2, base_lr=3)  # type: ignore[misc]  # the same


@pytest.mark.parametrize("step", ["x", 1.5, None])
def test_a_step_that_is_no_integer_is_named(step: Any) -> None:
    """`get_lr` of what is no integer is a `TypeError` that shows it, before and after a first step."""
    warmup = LinearWarmup(1e-3, 10)
    for _ in range(2):
        with pytest.raises(TypeError, match=f"^step must be an integer, got {step!r}$"):
            warmup.get_lr(step)
        warmup.get_lr(0)


def test_the_error_can_be_pickled_and_copied() -> None:
    """A copy has the lines, even where the value that was refused cannot be pickled."""
    error = refusal(bad(base_lr=lambda: 1, warmup_steps=5))
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (type(again), str(again)) == (ScheduleError, str(error))
    assert error.problems[0].path == ("base_lr",)


def test_no_other_error_is_shown_with_it() -> None:
    """A traceback has our error alone: not the library's as its cause or context."""
    error = refusal(bad(base_lr=-1, warmup_steps=5))
    assert error.__suppress_context__
    assert error.__cause__ is None


def test_people_import_it_from_both_packages() -> None:
    """The error is a public name."""
    assert lrtables.ScheduleError is scheduler.ScheduleError is ScheduleError


def test_a_schedule_in_place_of_a_spec_is_told_where_it_goes() -> None:
    """A schedule posted without a spec gives an error about the spec, not about each parameter."""
    error = refusal(lambda: Spec.model_validate_json(json.dumps(WARMUP)))
    assert str(error) == "Spec: this is a schedule, and a spec is needed: {'schedule': ..., 'total_steps': ...}"


def test_no_parameter_is_taken_for_itself() -> None:
    """The parameters of a spec are near to a misspelt one; those of a schedule beside it are not."""
    error = refusal(lambda: Spec.model_validate_json(json.dumps({"kind": RAMP["kind"], "schedule": 3, "start": 1})))
    assert "Spec has no parameter 'start': did you mean" not in str(error)
    assert "Spec has no parameter 'kind': it has schedule, columns, total_steps" in str(error)


@schedule
class _Mine(Schedule):
    """A constant of one's own."""

    value: Rate
    _: KW_ONLY
    kind: Literal_["mine.Constant"] = "mine.Constant"

    def _fill(self, out: Values, start: int) -> None:
        out[:] = self.value


def test_a_kind_of_ones_own_inside_another_names_the_ways() -> None:
    """A kind that is not registered goes into others by its values: the error says so."""
    error = refusal(lambda: Sequence([_Mine(0.1), Constant(0.2)], [5]))
    assert re.search(r"schedules\[0\].*kind of your own.*Literal\(schedule\.values\(n\)", str(error))


class _Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class _WithoutKind(Schedule):
    """A subclass that was never made a kind."""


anything: Any = SimpleNamespace(  # the same classes, which a type checker lets be called with anything
    Sequence=Sequence, Literal=Literal, Scale=Scale, LinearWarmup=LinearWarmup, WithoutKind=_WithoutKind
)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: anything.Sequence(iter([]), []), r"Sequence: schedules must have at least 1 item"),
        (lambda: anything.Sequence(iter([1]), [1]), r"Sequence: schedules"),
        (lambda: anything.Literal(iter(())), r"Literal: given must have at least 1 item"),
        (lambda: anything.Scale(anything.WithoutKind(), 2.0), r"Scale: schedule: this is a kind of your own"),
        (
            lambda: anything.LinearWarmup(_Unprintable(), 5),
            r"LinearWarmup: base_lr must be a valid number, got a _Unprintable",
        ),
        (lambda: Spec.model_validate({"schedule": {"kind": "\ud800"}, "total_steps": 5}), r"unknown kind '\\ud800'"),
        (lambda: parse({"kind": None}), r"unknown kind None: 'lrtables show'"),
    ],
)
def test_nothing_that_is_given_breaks_the_sentence(make: Callable[[], object], message: str) -> None:
    """Iterators, classes that are no kind, values that cannot be printed or written: each is refused in our words."""
    assert re.search(message, str(refusal(make)))
