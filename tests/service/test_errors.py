"""The table of errors, and what an answer repeats of a bad value."""

import json

import pytest

from service import errors
from service.errors import MEANINGS, BusyError, FieldError, ServiceError, abbreviate, error_status
from service.storage.local import DirectoryInUseError


def test_every_error_is_in_the_table() -> None:
    """Each domain error has a status and a code of its own."""
    raised = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, ServiceError)}
    assert raised - {ServiceError, BusyError} <= set(MEANINGS)


def test_an_error_means_what_its_nearest_base_means() -> None:
    """An error that is not in the table is answered as its base is; one that nobody foresaw is a 500."""
    assert error_status(DirectoryInUseError("x")).code == "storage-unavailable"
    assert error_status(ZeroDivisionError()).code == "internal-error"


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
