"""A table that takes another's place in the middle of a training, and the run that a checkpoint remembers."""

from __future__ import annotations

import math
import pickle
from typing import Any

import pytest
import torch
from torch.optim import AdamW, Optimizer

from client import DigestMismatchError
from client.lr_scheduler import TableLR
from client.pinned_table import PinnedTable
from scheduler import ScheduleWarning, Table
from tests.support.client.tables import RATES, make_sgd, make_table, rates_in_force
from tests.support.client.training import make_groups, through_file, values_of

LATER = [*RATES[:4], *[0.5] * 8]  # differs from row 4 on, and is longer


def adamw_with_tensors() -> Optimizer:
    return AdamW(make_groups(2), lr=torch.tensor(1.0, dtype=torch.float64))


@pytest.mark.parametrize("make", [make_sgd, adamw_with_tensors])
@pytest.mark.parametrize("position", [0, 1, 3, 4])
def test_a_new_table_is_in_force_from_its_first_difference(make: Any, position: int) -> None:
    """Whenever it is taken up before it differs, each update has the new table's rate, and none differs earlier."""
    optimizer = make()
    scheduler = TableLR(optimizer, make_table())
    before = rates_in_force(optimizer, scheduler, position)
    scheduler.replace_table(make_table(LATER))
    assert before + rates_in_force(optimizer, scheduler, 12 - position) == LATER


def test_the_row_in_force_is_written_at_once() -> None:
    """A table that differs in the row in force, which no update has used, puts its own rate there."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    rates_in_force(optimizer, scheduler, 4)
    scheduler.replace_table(make_table(LATER))
    assert values_of(optimizer) == scheduler.get_last_lr() == scheduler.get_lr() == [0.5]
    optimizer.load_state_dict(make_sgd().state_dict())  # our hook writes the new table's row again
    assert values_of(optimizer) == [0.5]


def test_a_table_that_differs_in_an_applied_row_is_refused() -> None:
    """A difference of one unit in the last place, in a row applied before, is refused by row and values."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    rates_in_force(optimizer, scheduler, 5)
    changed = [*RATES]
    changed[4] = math.nextafter(changed[4], 1)
    message = f"the tables differ in a row that has been applied: row 4, lr: {RATES[4]} and {changed[4]}"
    with pytest.raises(ValueError, match=message):
        scheduler.replace_table(make_table(changed))
    assert scheduler.table == make_table()
    assert rates_in_force(optimizer, scheduler, 5) == RATES[5:]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (make_table(axis="sample"), "must have the old one's axis, step, got sample"),
        (make_table(axis="step", stride=2), "must have the old one's stride, 1, got 2"),
        (Table({"lr": RATES, "momentum": RATES}), r"the old one's columns, \['lr'\], got \['lr', 'momentum'\]"),
        (make_table(RATES[:2]), "row 2, lr: 0.03333333333333333 and no such row"),
    ],
)
def test_a_table_of_another_layout_is_refused(table: Table, message: str) -> None:
    """Another axis, stride or set of columns is refused, and so is a table that ends before the position."""
    optimizer = make_sgd(momentum=0.5)
    scheduler = TableLR(optimizer, make_table())
    rates_in_force(optimizer, scheduler, 3)
    with pytest.raises(ValueError, match=message):
        scheduler.replace_table(table)


def test_what_is_no_table_or_no_step_is_refused() -> None:
    """A replacement is a Table, and its first row that may differ lies at or after the position."""
    scheduler = TableLR(make_sgd(), make_table(), start=3)
    with pytest.raises(TypeError, match="table must be a Table, got 3"):
        scheduler.replace_table(3)  # type: ignore[arg-type]  # the refusal is the test
    with pytest.raises(ValueError, match="from_step must be a row from 3, the present position, got 2"):
        scheduler.replace_table(make_table(LATER), from_step=2)
    with pytest.raises(ValueError, match="a row that is before from_step, 5: row 4, lr"):
        scheduler.replace_table(make_table(LATER), from_step=5)
    scheduler.replace_table(make_table(LATER), from_step=4)


def test_past_the_end_it_is_too_late() -> None:
    """At the end a longer table can still be taken up; once its last row has been repeated it cannot."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    rates_in_force(optimizer, scheduler, 10)
    longer = make_table([*RATES, 0.01, 0.02])
    scheduler.replace_table(longer)
    assert rates_in_force(optimizer, scheduler, 2) == [0.01, 0.02]
    with pytest.warns(ScheduleWarning, match="step 12 is past the table's end, 12"):
        rates_in_force(optimizer, scheduler, 1)
    with pytest.raises(ValueError, match="step 13 is past the end of the table, 12: it is too late"):
        scheduler.replace_table(make_table([*longer.lr, 0.03]))


def test_at_the_end_a_released_rate_is_taken_back() -> None:
    """At the exact end of a table that releases the rate, a longer one goes on without leaving a row out."""
    for make in (make_sgd, adamw_with_tensors):
        optimizer = make()
        scheduler = TableLR(optimizer, make_table(after="release"))
        applied = rates_in_force(optimizer, scheduler, 10)
        longer = [*RATES, 0.75, 0.5]
        scheduler.replace_table(make_table(longer, after="release"))
        assert applied + rates_in_force(optimizer, scheduler, 2) == longer


def test_what_would_be_refused_can_be_asked_before() -> None:
    """`check_replacement` refuses what `replace_table` would, a product that is no rate included."""
    scheduler = TableLR(torch.optim.SGD(make_groups(1), lr=100.0), make_table(), relative=True)
    for check in (scheduler.check_replacement, scheduler.replace_table):
        with pytest.raises(ValueError, match=r"lr of group 0 must be from 0 to 1e\+12, got"):
            check(make_table([*RATES[:4], 1e12, 1e12]))
    scheduler.check_replacement(make_table(LATER))
    assert scheduler.table == make_table()


def test_a_row_applied_in_part_may_not_change() -> None:
    """On an axis of samples, a row some of whose samples have been seen is an applied one."""
    scheduler = TableLR(make_sgd(), make_table(axis="sample", stride=8))
    scheduler.set_progress(8 * 4 + 1)
    with pytest.raises(ValueError, match="has been applied: row 4"):
        scheduler.replace_table(make_table(LATER, axis="sample", stride=8))
    scheduler.set_progress(8 * 4)
    scheduler.replace_table(make_table(LATER, axis="sample", stride=8))
    assert values_of(scheduler.optimizer) == [0.5]


def test_factors_stay_those_of_each_group() -> None:
    """A relative table is replaced by factors, and each group keeps its own value."""
    first, second = make_groups(2)
    optimizer = torch.optim.SGD([{**first, "lr": 0.5}, {**second, "lr": 0.25}])
    scheduler = TableLR(optimizer, make_table(), relative=True)
    rates_in_force(optimizer, scheduler, 4)
    scheduler.replace_table(make_table(LATER))
    assert values_of(optimizer) == [0.25, 0.125]


def test_values_of_another_writer_stay() -> None:
    """Where another writer's rate is in force, a new table does not touch it before the next step."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table(RATES[:2], after="release"))
    rates_in_force(optimizer, scheduler, 2)
    optimizer.param_groups[0]["lr"] = 0.07
    scheduler.replace_table(make_table([*RATES[:2], 0.3, 0.2], after="release"))
    assert values_of(optimizer) == [0.07]


# -- the run ----------------------------------------------------------------------------------------------------------


def test_a_state_remembers_run_and_version() -> None:
    """A table of a run writes its name and version into the state, and a load brings them back."""
    table = PinnedTable(make_table(), run="team/bert", version=3)
    assert table == make_table()
    state = through_file(TableLR(make_sgd(), table, start=2).state_dict())
    assert (state["run"], state["version"], state["digest"]) == ("team/bert", 3, table.digest)
    scheduler = TableLR(make_sgd(), make_table())
    assert "run" not in scheduler.state_dict()
    scheduler.load_state_dict(state)
    assert scheduler.state_dict() == state
    copied = pickle.loads(pickle.dumps(scheduler))
    assert (copied.run, copied.version) == ("team/bert", 3)


def test_a_new_version_takes_the_place_of_the_old() -> None:
    """The state after a replacement names the new version."""
    scheduler = TableLR(make_sgd(), PinnedTable(make_table(), run="team/bert", version=3), start=2)
    scheduler.replace_table(PinnedTable(make_table(LATER), run="team/bert", version=4))
    assert scheduler.state_dict()["version"] == 4


def test_a_proven_successor_is_taken_up_by_a_state() -> None:
    """A table that says which one it replaces is loaded in its place, and no other."""
    state = TableLR(make_sgd(), make_table(), start=3).state_dict()
    successor = PinnedTable(make_table(LATER), run="a/b", version=2, replaces=make_table().digest)
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, successor)
    scheduler.load_state_dict(state)
    assert rates_in_force(optimizer, scheduler, 3) == LATER[3:6]
    assert scheduler.version == 2
    other = TableLR(make_sgd(), make_table(RATES[::-1])).state_dict()
    with pytest.raises(DigestMismatchError, match="the state was saved with table"):
        TableLR(make_sgd(), successor).load_state_dict(other)


@pytest.mark.parametrize(("run", "version"), [("bert", 1), ("a/b", 0), ("a/b", None), (None, 1), ("a/b", "1"), (3, 1)])
def test_a_run_or_version_that_cannot_be_is_refused(run: Any, version: Any) -> None:
    """A run's name has two parts, its version is 1 or more, and one does not come without the other."""
    with pytest.raises(ValueError, match=r"a run's name must be like team-a/bert-base|version must be a whole number"):
        PinnedTable(make_table(), run=run, version=version)
    state = {**TableLR(make_sgd(), make_table()).state_dict(), "run": run, "version": version}
    with pytest.raises(ValueError, match="as run and version, got"):
        TableLR(make_sgd(), make_table()).load_state_dict(state)
