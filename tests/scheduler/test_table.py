"""Tables: identity, look-up, file."""

from __future__ import annotations

import functools
import hashlib
import struct
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scheduler import PastEndError, Spec, Table, TableError
from scheduler.builtin import OneCycleLR
from scheduler.custom import LinearWarmup
from scheduler.numerics.progress import MAX_PROGRESS
from scheduler.recipes import RECIPES, Recipe
from tests.support.schedules.small_tables import SPEC, small


def test_the_digest_is_of_frame_and_values() -> None:
    """SHA-256 of the layout's canonical JSON, a newline and the little-endian float64 of the columns in name order."""
    table = Table({"momentum": [0.9, 0.95], "lr": [0.5, 0.25]})
    layout = b'{"after":"hold","axis":"step","columns":["lr","momentum"],"stride":1,"total_steps":2}\n'
    assert table.digest == hashlib.sha256(layout + struct.pack("<4d", 0.5, 0.25, 0.9, 0.95)).hexdigest()


@pytest.mark.parametrize("layout", [{"axis": "sample"}, {"stride": 2}, {"after": "error"}], ids=str)
def test_the_frame_is_part_of_the_identity(layout: dict[str, Any]) -> None:
    """A table's digest covers what the rows count and what happens past the last: another layout, another digest."""
    assert small(**layout) != small()


def test_compute_fills_every_column() -> None:
    """The table of a spec holds the schedule's values, read-only, and remembers its spec."""
    table = Table.compute(SPEC)
    assert table.lr.tobytes() == SPEC.schedules[0].values(1000).tobytes()
    assert table.spec is SPEC
    with pytest.raises(ValueError, match="read-only"):
        table.lr[0] = 1.0


def test_get_lr_is_a_python_float_at_every_row() -> None:
    """get_lr(k) is row k as a Python float, never a NumPy one; index total_steps itself never raises."""
    table = small(after="error")
    assert [table.get_lr(step) for step in range(4)] == [0.5, 0.25, 0.125, 0.125]
    assert {type(table.get_lr(step)) for step in range(4)} == {float}
    assert type(table.get_lr(np.int64(1))) is float  # people pass NumPy steps


@pytest.mark.parametrize("after", ["hold", "release"])
def test_past_the_end_the_last_row_is_held(after: Any) -> None:
    """With hold and release a look-up past the end gives the last row."""
    assert small(after=after).get_lr(10**9) == 0.125


def test_past_the_end_is_an_error_where_asked() -> None:
    """With after="error" a step beyond total_steps raises, naming step and end."""
    with pytest.raises(PastEndError, match="step 4 is past the end of this table, which ends at 3"):
        small(after="error").get_lr(4)


def test_a_row_lasts_for_its_stride() -> None:
    """On the sample axis with stride 256, row k is in force for samples 256 k .. 256 k + 255."""
    table = small(axis="sample", stride=256)
    assert [table.get_lr(n) for n in (0, 255, 256, 511, 512, 768)] == [0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


@pytest.mark.parametrize(
    ("progress", "error", "message"),
    [
        (-1, ValueError, "step must be from 0 to 9223372036854775807, got -1"),
        (2**63, ValueError, "step must be from 0 to 9223372036854775807, got 9223372036854775808"),
        (1.5, TypeError, "step must be an integer, got 1.5"),
        ("1", TypeError, "step must be an integer, got '1'"),
        (True, TypeError, "step must be an integer, got True"),
    ],
)
@pytest.mark.parametrize("stride", [1, 256])
def test_a_bad_progress_is_refused_by_every_way(
    stride: int, progress: Any, error: type[Exception], message: str
) -> None:
    """No negative progress from the end of the array, none between two rows, none beyond 64 bits."""
    table = small(stride=stride)
    for look_up in (
        table.get_lr,
        functools.partial(table.get_lr, group=1),
        table.row,
        functools.partial(table.row, group=1),
    ):
        with pytest.raises(error, match=message):
            look_up(progress)


TOKEN_AND_SAMPLE_RECIPES = [found for found in RECIPES.values() if found.spec.axis in ("token", "sample")]


@pytest.mark.parametrize("found", TOKEN_AND_SAMPLE_RECIPES, ids=lambda found: found.name)
@pytest.mark.parametrize("after", ["hold", "release"])
def test_every_way_reaches_the_end_of_a_recipe_in_tokens(found: Recipe, after: Any) -> None:
    """A recipe's last token, its end and all beyond give the last row, by get_lr and row, for every group."""
    last = found.schedule.get_lr(found.spec.total_steps - 1)
    table = Table(
        {"lr": found.schedule.values(found.spec.total_steps)},
        axis=found.spec.axis,
        stride=found.spec.stride,
        after=after,
    )
    end = found.spec.total_steps * found.spec.stride
    for progress in (end - 1, end, end + 1, 10 * end, MAX_PROGRESS):
        assert table.get_lr(progress) == table.get_lr(progress, group=1) == table.row(progress)["lr"] == last


@given(data=st.data())
def test_all_ways_of_asking_agree(data: st.DataObject) -> None:
    """get_lr and row give the row that integer division says, or the same error, for any stride, end and progress."""
    stride, after = data.draw(st.integers(1, 10**15)), data.draw(st.sampled_from(["hold", "error", "release"]))
    table = small(axis="token", stride=stride, after=after)
    near = st.integers(0, 5).flatmap(lambda row: st.integers(max(row * stride - 2, 0), row * stride + 2))
    progress = data.draw(near | st.integers(0, MAX_PROGRESS))
    row = progress // stride
    if after == "error" and row > 3:
        for group in (0, 1):
            with pytest.raises(PastEndError, match=f"token {progress} is past the end"):
                table.get_lr(progress, group=group)
    else:
        rate = [0.5, 0.25, 0.125][min(row, 2)]
        assert table.get_lr(progress) == table.get_lr(progress, group=1) == table.row(progress)["lr"] == rate


def test_groups_have_rows_of_their_own() -> None:
    """A suffixed column belongs to its group; one without suffix to all."""
    table = Table({"lr.0": [0.1], "lr.1": [0.2], "weight_decay": [0.01]})
    assert table.groups == 2
    assert table.row(0, group=1) == {"lr": 0.2, "weight_decay": 0.01}
    assert table.get_lr(0) == 0.1
    with pytest.raises(ValueError, match="group must be from 0 to 1, got 2"):
        table.row(0, group=2)
    with pytest.raises(TableError, match=r"no column 'lr', only lr\.0, lr\.1, weight_decay"):
        table.lr  # noqa: B018  # the property raises


def test_a_group_without_a_rate_is_an_error() -> None:
    """A table whose columns leave a group out, or have no rate, says so; a group is a whole number."""
    with pytest.raises(TableError, match=r"this table has no rate for group 1, only lr\.0, lr\.2"):
        Table({"lr.0": [0.1], "lr.2": [0.3]}).get_lr(0, group=1)
    with pytest.raises(TableError, match="this table has no rate for group 0, only weight_decay"):
        Table({"weight_decay": [0.1]}).get_lr(0)
    for table in (small(), Table({"lr.0": [0.5], "lr.1": [0.5]})):
        assert table.get_lr(0, group=1) == table.get_lr(0, group=True) == 0.5
        with pytest.raises(TypeError, match=r"group must be an integer, got 0\.5"):
            table.get_lr(0, group=0.5)  # type: ignore[call-overload]  # what a wrong call gives


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "at least one column"),
        ({"lr": []}, "at least one column and one step"),
        ({"lr": [1.0], "momentum": [1.0, 2.0]}, "equal lengths, got lr 1, momentum 2"),
        ({"lr": [1.0, float("nan")]}, "'lr' must be finite, got nan at step 1"),
        ({"lr": [[1.0]]}, r"one value per step, got shape \[1, 1\]"),
        ({"LR!": [1.0]}, "got 'LR!'"),
        ({"../lr": [1.0]}, r"got '\.\./lr'"),
    ],
)
def test_what_is_no_table_is_refused(columns: Any, message: str) -> None:
    """Bad names, lengths, shapes and values are named."""
    with pytest.raises(TableError, match=message):
        Table(columns)


@pytest.mark.parametrize("columns", [[0.1, 0.2], np.array([0.1]), "lr", None], ids=["list", "array", "text", "none"])
def test_columns_have_names(columns: Any) -> None:
    """Values without the name of a column are refused with what to write instead."""
    with pytest.raises(TypeError, match=r"^columns must be a mapping such as \{'lr': \[0\.1, 0\.05\]\}, got "):
        Table(columns)


def test_a_schedule_may_be_used_twice() -> None:
    """One schedule object that drives two hyperparameters, or two groups, fills a column for each."""
    shape = OneCycleLR(max_lr=0.5, total_steps=40)
    decay = LinearWarmup(0.25, 10)
    for spec in (
        Spec(schedule=(shape, shape), columns={"weight_decay": decay, "dampening": decay}, total_steps=40),
        Spec(schedule=decay, columns={"weight_decay": decay}, total_steps=40),
    ):
        table = spec.table()
        for name, (schedule, column) in spec.plan().items():
            assert table.columns[name].tobytes() == schedule.columns(40)[column].tobytes(), name


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"lr": [0.1, -0.1]}, "'lr' must be not negative, got -0.1 at step 1"),
        ({"lr.0": [0.1, 0.1], "lr.1": [0.1, 1e300]}, "'lr.1' must be at most 1e.12, got 1e.300 at step 1"),
        ({"lr": [0.1], "lr.0": [0.1]}, "one for all groups or one for each: got both 'lr' and 'lr.0'"),
        ({"lr": [0.1], "weight_decay": [0.1], "weight_decay.3": [0.1]}, "both 'weight_decay' and 'weight_decay.3'"),
        ({"lr": ["0.1"]}, "'lr' must have numbers, got <U3 like "),
        ({"lr": [True]}, "'lr' must have numbers, got bool like "),
        ({"lr": [1j]}, "'lr' must have numbers, got complex128 like "),
        ({"lr": np.zeros(2, dtype=[("rate", "f8")])}, "'lr' must have numbers, got "),
        ({"lr": torch.ones(2, requires_grad=True)}, "'lr' must have one number per step: .* requires grad"),
        ({"lr": [None, {}]}, r"'lr' must have one number per step, got \[None, {}\]$"),
        ({"lr": [[1.0], [1.0, 2.0]]}, r"'lr' must have one number per step, got \[\[1.0\], \[1.0, 2.0\]\]$"),
        ({3: [0.1]}, "got 3"),
    ],
)
def test_what_is_no_rate_is_no_table(columns: Any, message: str) -> None:
    """A value that is no rate, a text for a number, a column both plain and per group: refused by name."""
    with pytest.raises(TableError, match=message):
        Table(columns)


@pytest.mark.parametrize("stride", [1.5, True, "2", 0, 10**16, None])
def test_a_stride_is_an_integer(stride: Any) -> None:
    """A stride that is no whole number, or too large for JSON, is refused."""
    with pytest.raises(TableError, match="stride must be an integer from 1"):
        small(stride=stride)


def test_other_columns_may_be_negative() -> None:
    """Only rates have limits: another hyperparameter may be any finite number."""
    assert Table({"lr": [0.0, -1e-12], "weight_decay": [-1e300, 1e300]}).row(0) == {"lr": 0.0, "weight_decay": -1e300}
