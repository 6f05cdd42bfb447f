"""How errors quote invalid values."""

import json

import pytest

from service.errors import FieldError, abbreviate


@pytest.mark.parametrize(
    ("value", "quoted"),
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
def test_a_value_is_quoted_as_json(value: object, quoted: object) -> None:
    """A short value is quoted unchanged; one that is long or no JSON is described by a text."""
    assert abbreviate(value) == quoted
    json.dumps(abbreviate(value), allow_nan=False).encode()


def test_a_long_value_is_shortened() -> None:
    """At most about a line of a long value is quoted."""
    for value in ("x" * 10**6, 10**4000):
        assert len(abbreviate(value)) < 150


def test_a_field_error_has_only_the_members_it_was_given() -> None:
    """A value that was not given is left out; a null one is quoted."""
    assert FieldError("bad", pointer="").to_dict() == {"pointer": "", "detail": "bad"}
    assert FieldError("bad", parameter="p", value=None).to_dict() == {"parameter": "p", "detail": "bad", "value": None}
