"""Amendments as JSON: what is read, and the errors of what cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from scheduler import ScheduleError
from scheduler.amendments import (
    Amendment,
    Cooldown,
    Extend,
    Hold,
    NewTail,
    Rescale,
    Rewind,
    describe_amendment,
    parse_amendment,
)
from scheduler.compose import Constant, Ramp, Sequence

RAMP = {"kind": "Ramp", "start": "previous", "stop": 0.0, "length": 10}


@pytest.mark.parametrize(
    ("data", "amendment", "text"),
    [
        (
            {"from_step": 60_000, "tail": RAMP},
            NewTail(from_step=60_000, tail=Ramp("previous", 0.0, 10)),
            "from step 60,000 on: Ramp",
        ),
        (
            {"template": "tail", "from_step": 5, "tail": [{"kind": "Constant", "value": 1}] * 2, "total_steps": 90_000},
            NewTail(from_step=5, tail=[Constant(1.0), Constant(1.0)], total_steps=90_000),
            "from step 5 on: Constant for 2 parameter groups, to 90,000 steps in all",
        ),
        (
            {"template": "cooldown", "from_step": 60_000, "length": 10_000, "shape": "1-sqrt"},
            Cooldown(from_step=60_000, length=10_000, shape="1-sqrt"),
            "from step 60,000 on: cool down to 0 over 10,000 steps (1-sqrt)",
        ),
        (
            {"template": "extend", "from_step": 60_000, "total_steps": 120_000},
            Extend(from_step=60_000, total_steps=120_000),
            "from step 60,000 on: hold the rate for longer, then go on as before, to 120,000 steps in all",
        ),
        ({"template": "hold", "from_step": 60_000}, Hold(from_step=60_000), "from step 60,000 on: hold the rate"),
        (
            {"template": "scale", "from_step": 60_000, "factor": 0.1},
            Rescale(from_step=60_000, factor=0.1),
            "from step 60,000 on: all rates times 0.1",
        ),
        (
            {
                "template": "rewind",
                "from_step": 50_000,
                "tail": {"kind": "Sequence", "schedules": [RAMP, RAMP], "lengths": [9]},
            },
            Rewind(from_step=50_000, tail=Sequence([Ramp("previous", 0.0, 10), Ramp("previous", 0.0, 10)], [9])),
            "back to step 50,000, and from there on: Sequence of Ramp",
        ),
    ],
)
def test_amendments_in_json_and_in_words(data: dict[str, Any], amendment: Amendment, text: str) -> None:
    """Each template is read from JSON, also as one type of pydantic's, and said in one sentence."""
    adapter: TypeAdapter[Amendment] = TypeAdapter(Amendment)
    assert parse_amendment(data) == amendment
    assert adapter.validate_python(amendment) == amendment
    assert describe_amendment(amendment) == text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"Amendment: must be a JSON object such as .*, got \[\]"),
        ({}, "Amendment: template must be one of tail, cooldown, extend, hold, scale, rewind, got None"),
        ({"template": "melt"}, "Amendment: template must be one of tail, .*, got 'melt'"),
        ({"template": ["hold"]}, r"Amendment: template must be one of tail, .*, got \['hold'\]"),
        ({"template": "hold"}, "Amendment: from_step is missing"),
        ({"template": "hold", "from_step": -1}, "Amendment: from_step must be greater than or equal to 0, got -1"),
        ({"template": "hold", "from_step": "5"}, "Amendment: from_step must be a valid integer, got '5'"),
        ({"template": "hold", "form_step": 5}, "did you mean from_step"),
        ({"template": "scale", "from_step": 5, "factor": 0}, "Amendment: factor must be greater than 0, got 0"),
        ({"template": "cooldown", "from_step": 5, "length": 0}, "length must be greater than or equal to 1, got 0"),
        ({"template": "cooldown", "from_step": 5, "length": 9, "shape": "round"}, "shape must be .*, got 'round'"),
        ({"from_step": 5, "tail": {"kind": "Ramp", "start": 1, "stop": 0}}, "tail.length is missing"),
        ({"from_step": 5, "tail": {"kind": "Rampp"}}, "tail: unknown kind 'Rampp': did you mean Ramp"),
        ("{", "Amendment: must be a JSON object"),
    ],
)
def test_errors_name_the_field_and_the_value(data: Any, message: str) -> None:
    """What cannot be read is refused in our words."""
    with pytest.raises(ScheduleError, match=message):
        parse_amendment(data)


def test_errors_of_python_are_the_same() -> None:
    """An amendment made in Python is refused in the same words; data that JSON cannot hold are a TypeError."""
    with pytest.raises(ScheduleError, match="Amendment: from_step must be greater than or equal to 0, got -1"):
        Hold(from_step=-1)
    with pytest.raises(TypeError, match="parse_amendment takes JSON text, or data that JSON can hold"):
        parse_amendment({"template": {1}})


def test_the_json_schema_asks_for_the_template_but_of_a_tail() -> None:
    """In the schema, too, only a tail speaks for itself."""
    schema = TypeAdapter(Amendment).json_schema()
    assert {name for name in ("Cooldown", "Extend", "Hold", "Rescale", "Rewind", "NewTail")} <= schema["$defs"].keys()
    required = {name: schema["$defs"][name]["required"] for name in ("Hold", "NewTail")}
    assert required == {"Hold": ["template", "from_step"], "NewTail": ["from_step", "tail"]}
