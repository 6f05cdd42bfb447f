"""Parts of a table."""

import json

import numpy as np
import pytest

from scheduler import Table
from service.errors import InvalidRequestError, LimitExceededError
from service.representations.values import ValuesQuery, select

TABLE = Table({"lr": np.arange(100.0), "momentum": np.arange(100.0)[::-1]})


def curves(**query: object) -> dict[str, tuple[list[int], list[float]]]:
    """The steps and values that are selected, by column."""
    data = json.loads(select(TABLE, ValuesQuery.model_validate(query), 1000))
    assert data["digest"] == TABLE.digest
    return {name: (curve["steps"], curve["values"]) for name, curve in data["columns"].items()}


def test_listed_steps_come_as_they_were_asked_for() -> None:
    """Each listed step gives each column's value, in the order of the list."""
    assert curves(steps="7,0,7") == {"lr": ([7, 0, 7], [7, 0, 7]), "momentum": ([7, 0, 7], [92, 99, 92])}


def test_a_short_range_comes_whole() -> None:
    """A range of no more than `points` steps is not thinned out."""
    assert curves(start=10, stop=13)["lr"] == ([10, 11, 12], [10, 11, 12])
    assert curves()["lr"] == (list(range(100)), list(range(100)))


def test_a_wide_table_tells_no_more_than_a_narrow_one() -> None:
    """The limit is of all columns together, and where nobody says how many values are wanted they stay within it."""
    wide = Table({f"lr.{number}": np.arange(10_000.0) for number in range(64)})
    for query in (ValuesQuery(), ValuesQuery(points=156), ValuesQuery(steps=",".join(["7"] * 156))):
        told = json.loads(select(wide, query, 10_000))["columns"].values()
        assert 9000 < sum(len(curve["values"]) for curve in told) <= 10_000
    with pytest.raises(LimitExceededError, match="at most 156 values of each column"):
        select(wide, ValuesQuery(points=157), 10_000)


@pytest.mark.parametrize(
    ("query", "parameter", "words"),
    [
        ({"steps": "1,100"}, "steps", "from 0 to 99, got '100'"),
        ({"steps": "1,-1"}, "steps", "got '-1'"),
        ({"steps": ""}, "steps", "got ''"),
        ({"steps": "1,x"}, "steps", "got 'x'"),
        ({"steps": "9" * 50}, "steps", "from 0 to 99"),
        ({"steps": "1", "start": 0}, "steps", "cannot be combined"),
        ({"steps": ",".join(["1"] * 501)}, "steps", "at most 500 values of each column"),
        ({"stop": 101}, "stop", "at most the table's 100 rows, got 101"),
        ({"start": 5, "stop": 5}, "start", "below stop, got 5 >= 5"),
        ({"start": 100}, "start", "below stop, got 100 >= 100"),
        ({"points": 501}, "points", "at most 500 values of each column"),
    ],
)
def test_what_cannot_be_selected_is_named(query: dict[str, object], parameter: str, words: str) -> None:
    """A bad parameter is named, with the value and what is allowed."""
    with pytest.raises(InvalidRequestError, match=r".") as caught:
        curves(**query)
    assert [error.parameter for error in caught.value.errors] == [parameter]
    assert words in str(caught.value)
