"""What an answer repeats of a bad value."""

import json

import pytest

from service.errors import FieldError, abbreviate


@pytest.mark.parametrize(
    ("value", "repeated"),
    [
        (1, 1),
        (1.5, 1.5),
        (True, True),
        (None, None),
        ("x", "x"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (-float("inf"), "-Infinity"),
        (2**53, "9007199254740992"),
        ([1] * 1000, "a list of 1000"),
        ({"a": 1}, "an object with 1 members"),
        ("\ud800", "\\ud800"),
    ],
)
def test_a_value_is_repeated_as_json(value: object, repeated: object) -> None:
    """A short value is repeated as it came; what JSON cannot hold, or what is long, as a text about it."""
    assert abbreviate(value) == repeated
    json.dumps(abbreviate(value), allow_nan=False).encode()


def test_a_long_value_is_shortened() -> None:
    """However long a value is, an answer repeats about a line of it."""
    for value in ("x" * 10**6, 10**4000):
        assert len(abbreviate(value)) < 150


def test_a_field_error_says_only_what_it_knows() -> None:
    """An absent value is left out; a null one is repeated."""
    assert FieldError("bad", pointer="").to_dict() == {"pointer": "", "detail": "bad"}
    assert FieldError("bad", parameter="p", value=None).to_dict() == {"parameter": "p", "detail": "bad", "value": None}
