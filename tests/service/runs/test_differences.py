"""Where two tables differ first."""

import numpy as np
import pytest

from scheduler import Table
from service.runs.differences import compare


def test_equal_tables_do_not_differ() -> None:
    """A table does not differ from one with the same bits."""
    assert compare(Table({"lr": [0.5, 0.25]}), Table({"lr": [0.5, 0.25]})) is None


@pytest.mark.parametrize("row", [0, 1, 65_535, 65_536, 199_999])
def test_the_first_row_that_differs_is_found(row: int) -> None:
    """One bit of one value is found in whatever part of the table it is."""
    values = np.linspace(1.0, 0.1, 200_000)
    changed = values.copy()
    changed[row] = np.nextafter(changed[row], 2.0)
    found = compare(Table({"lr": values, "momentum": values}), Table({"lr": changed, "momentum": values}))
    assert found is not None
    assert (found.first_step, found.columns) == (row, {"lr": (values[row], changed[row])})
    assert found.text == f"step {row}: lr is {float(values[row])!r} now, and {float(changed[row])!r} in the request"


def test_the_sign_of_zero_is_a_difference() -> None:
    """Tables whose bits differ have a first row, even if the values are equal."""
    found = compare(Table({"momentum": [0.0], "lr": [0.5]}), Table({"momentum": [-0.0], "lr": [0.5]}))
    assert found is not None
    assert (found.first_step, list(found.columns)) == (0, ["momentum"])


def test_a_longer_table_differs_after_the_shorter() -> None:
    """Where one table begins as the other one is, the first row is past the shorter one's end."""
    found = compare(Table({"lr": [0.5, 0.25]}), Table({"lr": [0.5, 0.25, 0.125]}))
    assert found is not None
    assert (found.first_step, found.columns) == (2, {"lr": (None, 0.125)})
    assert found.text == "step 2: lr is missing now, and 0.125 in the request"


def test_other_columns_differ_from_the_start() -> None:
    """A column that only one table has differs in row 0."""
    found = compare(Table({"lr": [0.5]}), Table({"lr": [0.5], "momentum": [0.9]}))
    assert found is not None
    assert (found.first_step, found.columns) == (0, {"momentum": (None, 0.9)})


@pytest.mark.parametrize("layout", [{"axis": "sample"}, {"stride": 2}, {"after": "error"}])
def test_another_layout_differs_from_the_start(layout: dict[str, object]) -> None:
    """Rows that count something else are not compared; the text says what differs."""
    axis = {} if "axis" in layout else {"axis": "sample"}
    found = compare(Table({"lr": [0.5]}, **axis), Table({"lr": [0.5]}, **{**axis, **layout}))  # type: ignore[arg-type]  # as parametrized
    assert found is not None
    [name] = layout
    assert (found.first_step, found.columns) == (0, {})
    assert found.text.startswith(f"{name} is ")
