"""TableLR against real torch: which row is in force, and what happens past the last."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from torch.optim.lr_scheduler import (
    LRScheduler,
    ReduceLROnPlateau,
)

from client.lr_scheduler import TableLR
from scheduler import PastEndError, ScheduleWarning
from scheduler.numerics.progress import MAX_PROGRESS
from scheduler.table_format import Axis
from tests.support.client import training
from tests.support.client.tables import RATES, make_sgd, make_table, rates_in_force
from tests.support.client.training import update, values_of

# -- applying ---------------------------------------------------------------------------------------------------------


def test_row_k_is_in_force_during_update_k() -> None:
    """Row k is in force during update k, from the constructor on, and is a Python float."""
    optimizer = make_sgd(3)
    scheduler = TableLR(optimizer, make_table())
    for rate in RATES:
        assert [rate] * 3 == values_of(optimizer) == scheduler.get_last_lr() == scheduler.get_lr()
        assert all(type(group["lr"]) is float for group in optimizer.param_groups)
        update(optimizer)
        scheduler.step()


def test_start_begins_anywhere() -> None:
    """`start=k` begins with row k and needs nothing in the optimizer."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table(), start=4)
    assert scheduler.last_epoch == 4
    assert rates_in_force(optimizer, scheduler, 3) == RATES[4:7]


@pytest.mark.parametrize("start", [-1, 1.5, "2", None, True, 2**63])
def test_a_start_that_is_no_position_is_refused(start: Any) -> None:
    """A start that is not a whole number from 0 on is refused with its value."""
    with pytest.raises(ValueError, match="start must be a whole number >= 0 and at most 9223372036854775807, got"):
        TableLR(make_sgd(), make_table(), start=start)


def test_wrong_objects_are_refused() -> None:
    """An optimizer or table of another type is refused by name."""
    with pytest.raises(TypeError, match="optimizer must be a torch optimizer, got 3"):
        TableLR(3, make_table())  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(TypeError, match=r"table must be a Table, a schedule or a Spec, got \[0.1\]"):
        TableLR(make_sgd(), [0.1])  # type: ignore[arg-type]  # the mistake under test


def test_frameworks_find_nothing_that_they_misread() -> None:
    """It is an LRScheduler without `total_steps`, not callable, always true: Accelerate and DeepSpeed look at these."""
    scheduler = TableLR(make_sgd(), make_table())
    assert isinstance(scheduler, LRScheduler)
    assert not hasattr(scheduler, "total_steps")
    assert not callable(scheduler)
    assert not hasattr(scheduler, "__len__")
    assert scheduler


@pytest.mark.parametrize("position", [0.5, "3", -1, None, 2**63])
def test_step_never_raises_type_error(position: Any) -> None:
    """A nonsensical position is a ValueError, whatever its type: DeepSpeed reads a TypeError as an invitation."""
    scheduler = TableLR(make_sgd(), make_table())
    with pytest.raises(ValueError, match="progress must be a whole number"):
        scheduler.set_progress(position)
    if position is not None:
        with pytest.raises(ValueError, match="epoch must be a whole number"):
            scheduler.step(position)
    assert scheduler.last_epoch == 0


def test_step_with_an_epoch_moves_there() -> None:
    """`step(epoch)`, which torch deprecates with a warning, still moves there."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    update(optimizer)
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(5)
    assert values_of(optimizer) == [RATES[5]]


def test_torch_still_warns_of_the_wrong_order() -> None:
    """Stepping the scheduler before the optimizer gets torch's own warning."""
    scheduler = TableLR(make_sgd(), make_table())
    with pytest.warns(UserWarning, match="call of .lr_scheduler.step... before .optimizer.step"):
        scheduler.step()


def test_set_progress_is_absolute_and_idempotent() -> None:
    """`set_progress(n)` writes row n, however often it is called, and steps go on from there."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    for _ in range(8):
        scheduler.set_progress(3)
    assert values_of(optimizer) == [RATES[3]]
    assert rates_in_force(optimizer, scheduler, 3) == RATES[3:6]
    scheduler.set_progress(1)
    assert values_of(optimizer) == [RATES[1]]


def test_advance_counts_real_updates_only() -> None:
    """An update that a GradScaler skipped does not advance the table."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    update(optimizer)
    scheduler.advance(stepped=False)
    assert values_of(optimizer) == [RATES[0]]
    scheduler.advance()
    assert values_of(optimizer) == [RATES[1]]


@pytest.mark.parametrize("axis", ["sample", "token"])
def test_samples_and_tokens_need_set_progress(axis: Axis) -> None:
    """On an axis of samples or tokens step() says what to call instead, and progress picks its row."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table(axis=axis, stride=100))
    update(optimizer)
    with pytest.raises(RuntimeError, match=rf"call set_progress\(n\) with the number of {axis}s so far"):
        scheduler.step()
    scheduler.set_progress(299)
    assert values_of(optimizer) == [RATES[2]]
    scheduler.set_progress(300)
    assert values_of(optimizer) == [RATES[3]]


def test_tokens_are_counted_in_trillions() -> None:
    """A progress of trillions of tokens, past what a schedule has rows for, picks its row, and the largest the last."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table(axis="token", stride=10**12))
    for progress in (3 * 10**12 - 1, 3 * 10**12, MAX_PROGRESS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ScheduleWarning)  # the last is past the table's end
            scheduler.set_progress(progress)
        assert values_of(optimizer) == [RATES[min(progress // 10**12, 9)]] == [scheduler.table.get_lr(progress)]
        assert scheduler.state_dict()["last_epoch"] == progress


def test_a_stride_repeats_rows() -> None:
    """With a stride of 3 each row is in force for three steps."""
    optimizer = make_sgd()
    applied = rates_in_force(optimizer, TableLR(optimizer, make_table(stride=3)), 9)
    assert applied == [rate for rate in RATES[:3] for _ in range(3)]


# -- past the end -----------------------------------------------------------------------------------------------------


def test_hold_keeps_the_last_row_and_warns_once() -> None:
    """With `hold` the last values stay; one step past the end is silent, the update after it warns, once."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    rates_in_force(optimizer, scheduler, 10)
    with pytest.warns(ScheduleWarning, match="step 10 is past the table's end, 10: its last values are held") as caught:
        applied = rates_in_force(optimizer, scheduler, 5)
    assert applied == [RATES[-1]] * 5
    assert len(caught) == 1
    assert caught[0].filename == training.__file__


def test_error_raises_past_the_end_and_stays() -> None:
    """With `error` the second step past the end raises PastEndError and moves nothing."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table(after="error"))
    rates_in_force(optimizer, scheduler, 10)
    update(optimizer)
    with pytest.raises(PastEndError, match="step 11 is past the table's end, 10"):
        scheduler.step()
    assert scheduler.last_epoch == 10


def test_release_hands_over_to_plateau() -> None:
    """With `release` a ReduceLROnPlateau owns the rate after the last row: its cuts stay."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table(after="release"))
    plateau = ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
    assert rates_in_force(optimizer, scheduler, 10) == RATES
    for cut in (1, 0.5, 0.25, 0.125):
        plateau.step(1.0)
        update(optimizer)
        scheduler.step()
        assert values_of(optimizer) == scheduler.get_last_lr() == scheduler.get_lr() == [RATES[-1] * cut]
