"""Specs out of JSON, and the names of what is wrong with them."""

import json
from typing import Any

import pytest

from scheduler import Spec
from service.errors import InvalidRequestError, LimitExceededError
from service.settings import Settings
from service.tables.specs import read_spec
from tests.support.calls import calls

WARMUP = {"kind": "custom.LinearWarmup", "base_lr": 0.1, "warmup_steps": 5}


def refusal(body: object, **settings: Any) -> InvalidRequestError:
    """The refusal of a spec."""
    text = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(InvalidRequestError, match=r".") as caught:
        read_spec(text.encode(), Settings(**settings))
    return caught.value


def test_a_good_spec_is_read() -> None:
    """A body with a spec gives that spec."""
    body = {"schedule": WARMUP, "total_steps": 10}
    assert read_spec(json.dumps(body).encode(), Settings()) == Spec.model_validate_json(json.dumps(body))


@pytest.mark.parametrize(
    ("change", "pointer", "words", "value"),
    [
        ({"base_lr": -1}, "/schedule/base_lr", "base_lr should be greater than or equal to 0, got -1", -1),
        ({"base_lr": 1e300}, "/schedule/base_lr", "base_lr should be less than or equal to", 1e300),
        ({"base_lr": "x"}, "/schedule/base_lr", "base_lr should be a valid number, got 'x'", "x"),
        ({"base_lr": None}, "/schedule/base_lr", "got None", None),
        ({"base_lr": float("nan")}, "/schedule/base_lr", "base_lr should be a finite number, got 'NaN'", "NaN"),
        ({"base_lr": float("inf")}, "/schedule/base_lr", "got 'Infinity'", "Infinity"),
        ({"base_lr": float("-inf")}, "/schedule/base_lr", "got '-Infinity'", "-Infinity"),
        ({"warmup_steps": -1}, "/schedule/warmup_steps", "greater than or equal to 0, got -1", -1),
        ({"warmup_steps": True}, "/schedule/warmup_steps", "should be a valid integer, got True", True),
        ({"warmup_steps": 1.5}, "/schedule/warmup_steps", "should be a valid integer, got 1.5", 1.5),
        ({"warmup_steps": 10**30}, "/schedule/warmup_steps", "less than or equal to", str(10**30)),
        ({"one": 3}, "/schedule/one", "custom.LinearWarmup has no parameter 'one': it has base_lr, warmup_steps", 3),
        ({"x" * 300: 1}, "/schedule/" + "x" * 300, "has no parameter 'xxx", 1),
        (
            {"kind": "custom.LinearWarmap"},
            "/schedule/kind",
            "did you mean custom.LinearWarmup",
            "custom.LinearWarmap",
        ),
        ({"kind": ["custom.LinearWarmup"]}, "/schedule/kind", "unknown kind", "a list of 1"),
    ],
)
def test_a_bad_field_of_a_schedule_is_named(change: dict[str, Any], pointer: str, words: str, value: object) -> None:
    """The refusal points into the real JSON, says what is wrong in words, and repeats the value."""
    for schedule, prefix in ((WARMUP | change, ""), ([WARMUP, WARMUP | change], "/1")):
        (error,) = refusal({"schedule": schedule, "total_steps": 10}).errors
        assert error.pointer == pointer.replace("/schedule", f"/schedule{prefix}")
        assert words in error.detail
        assert error.to_dict()["value"] == value


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({"schedule": WARMUP}, "/total_steps", f"total_steps is missing: {WARMUP['kind']} has no end of its own"),
        ({"total_steps": 5}, "/schedule", "schedule is missing"),
        ({"schedule": WARMUP, "total_steps": -1}, "/total_steps", "got -1"),
        ({"schedule": WARMUP, "total_steps": 10**12}, "/total_steps", "got 1000000000000"),
        ({"schedule": WARMUP, "total_steps": "5"}, "/total_steps", "got '5'"),
        ({"schedule": WARMUP, "total_steps": 5, "stride": 0}, "/stride", "got 0"),
        ({"schedule": WARMUP, "total_steps": 5, "axis": "day"}, "/axis", "got 'day'"),
        ({"schedule": WARMUP, "total_steps": 5, "totl": 5}, "/totl", "Spec has no parameter 'totl'"),
        ({"schedule": [], "total_steps": 5}, "/schedule", "at least 1"),
        ({"schedule": {"base_lr": 1}, "total_steps": 5}, "/schedule/kind", "has no kind"),
        ({"schedule": 5, "total_steps": 5}, "/schedule", "should be an object, got 5"),
        ({"schedule": "custom.LinearWarmup", "total_steps": 5}, "/schedule", "should be an object"),
        (
            {"schedule": {"kind": "custom.LinearWarmup", "base_lr": 1}, "total_steps": 5},
            "/schedule/warmup_steps",
            "is missing",
        ),
        ([], "", "should be an object"),
        ("null", "", "should be an object"),
    ],
)
def test_a_bad_spec_is_named(body: object, pointer: str, words: str) -> None:
    """What is wrong with the spec itself is pointed at too."""
    error = next(error for error in refusal(body).errors if error.pointer == pointer)
    assert words in error.detail


def test_what_contradicts_itself_is_refused() -> None:
    """A table longer than its schedule is refused with both numbers."""
    schedule = {"kind": "custom.WarmupWithDecay", "base_lr": 1, "warmup_steps": 2, "total_steps": 10}
    assert "total_steps must be <= 10" in str(refusal({"schedule": schedule, "total_steps": 20}))


@pytest.mark.parametrize(
    ("settings", "pointer", "words"),
    [
        ({"max_steps": 9}, "/total_steps", "total_steps must be at most 9 on this server (max_steps), got 10"),
        ({"max_columns": 1}, "/schedule", "at most 1 groups on this server (max_columns), got 2"),
        ({"max_table_bytes": 159}, "/total_steps", "at most 159 on this server (max_table_bytes), got 160"),
    ],
)
def test_more_than_the_server_allows_is_refused(settings: dict[str, int], pointer: str, words: str) -> None:
    """A limit is named with its value, and what was asked for."""
    refused = refusal({"schedule": [WARMUP, WARMUP], "total_steps": 10}, **settings)
    assert isinstance(refused, LimitExceededError)
    assert [error.pointer for error in refused.errors] == [pointer]
    assert words in str(refused)


def test_a_spec_names_a_bounded_number_of_tables() -> None:
    """Each table that Literals name is read from the store, so there are at most as many as columns."""
    literals = [{"kind": "Literal", "digest": digit * 64} for digit in "abb"]
    spec = {"schedule": {"kind": "Product", "schedules": literals}, "total_steps": 10}
    assert refusal(spec, max_columns=1).errors[0].pointer == "/schedule"
    with pytest.raises(
        LimitExceededError, match=r"tables that Literals refer to must be at most 1 .*max_columns\), got 2"
    ):
        read_spec(json.dumps(spec).encode(), Settings(max_columns=1))
    assert read_spec(json.dumps(spec).encode(), Settings(max_columns=2)).total_steps == 10


def test_a_refused_item_is_one_error() -> None:
    """A list whose only item is refused is not also called too short."""
    assert [error.pointer for error in refusal({"schedule": [WARMUP | {"base_lr": -1}], "total_steps": 9}).errors] == [
        "/schedule/0/base_lr"
    ]


def test_a_thousand_errors_are_not_repeated() -> None:
    """A long list of bad schedules is answered with the first twenty errors."""
    assert len(refusal({"schedule": [0] * 900, "total_steps": 10}, max_columns=1000).errors) == 20


def test_steps_that_a_shift_skips_of_a_stepped_twin_count() -> None:
    """A row far inside a twin that must be stepped costs all rows before it, so they count as rows of the table."""
    stepped = {"kind": "torch.ExponentialLR", "base_lr": 0.1, "gamma": 0.9}
    shifts = [{"kind": "Shift", "schedule": inner, "offset": 600} for inner in (stepped, WARMUP)]
    twice = {"kind": "Shift", "schedule": shifts[0], "offset": -100}
    scaled = {"kind": "Scale", "schedule": twice, "factor": 1.0}
    read_spec(json.dumps({"schedule": scaled, "total_steps": 500}).encode(), Settings(max_steps=1000))
    read_spec(json.dumps({"schedule": shifts[1], "total_steps": 1000}).encode(), Settings(max_steps=1000))
    error = refusal({"schedule": scaled, "total_steps": 501}, max_steps=1000)
    assert isinstance(error, LimitExceededError)
    assert "at most 1000 on this server (max_steps), got 1001" in str(error)
    assert error.errors[0].pointer == "/schedule"


RAMP = '{"kind": "Ramp", "start": 0.1, "stop": 0.0, "length": 1}'


def nested(outer: str, levels: int) -> str:
    """A spec's text with something within itself; `{}` is the place of what is inside."""
    text = RAMP
    for _ in range(levels):
        text = outer.replace("{}", text)
    return f'{{"schedule": {text}, "total_steps": 5}}'


def listed(kind: str, field: str, part: str, count: int) -> str:
    """A spec's text with so many parts."""
    return f'{{"schedule": {{"kind": "{kind}", "{field}": [{", ".join([part] * count)}]}}, "total_steps": 5}}'


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(nested('{"kind": "Cycle", "schedule": {}}', 40), id="lacking a field at every level"),
        pytest.param(nested('{"kind": "Cycle", "length": 1, "growth": 2, "schedule": {}}', 40), id="too deep"),
        pytest.param(listed("Sum", "schedules", '{"kind": "Rump"}', 4000), id="many of no kind"),
        pytest.param(listed("Sum", "schedules", '{"kind": "Ramp", "x": 1}', 2000), id="many with four errors"),
        pytest.param(listed("Literal", "given", "-1", 9000), id="many bad values"),
        pytest.param(listed("torch.ChainedScheduler", "schedulers", '{"kind": "torch.SWALR"}', 100), id="of torch"),
    ],
)
def test_refusing_a_spec_takes_work_in_proportion_to_its_size(text: str) -> None:
    """A body that is refused costs a bounded number of function calls per byte, whatever is wrong with it."""
    refusal(text)  # what is made once per process is made
    assert calls(lambda: refusal(text)) < 20 * len(text)
