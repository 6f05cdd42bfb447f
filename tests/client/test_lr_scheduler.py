"""TableLR against real torch: optimizers, schedulers, checkpoints."""

from __future__ import annotations

import copy
import functools
import gc
import math
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    ReduceLROnPlateau,
    SequentialLR,
)

from client import DigestMismatchError
from client.lr_scheduler import TableLR, set_lr
from client.scheduler_state import first_difference
from scheduler import PastEndError, ScheduleWarning, Table
from scheduler.numerics.progress import MAX_PROGRESS
from scheduler.table import After, Axis
from tests.support.client.training import make_groups, pickled, through_file, update, values_of

RATES = [0.1 / (k + 1) for k in range(10)]


def make_table(rates: list[float] = RATES, *, after: After = "hold", axis: Axis = "step", stride: int = 1) -> Table:
    return Table({"lr": rates}, after=after, axis=axis, stride=stride)


def make_sgd(groups: int = 1, **options: Any) -> SGD:
    return SGD(make_groups(groups), lr=1.0, **options)


def train(optimizer: Optimizer, scheduler: Any, steps: int) -> list[float]:
    """The rates in force during `steps` updates."""
    applied = []
    for _ in range(steps):
        applied.append(float(optimizer.param_groups[0]["lr"]))
        update(optimizer)
        scheduler.step()
    return applied


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
    assert train(optimizer, scheduler, 3) == RATES[4:7]


@pytest.mark.parametrize("start", [-1, 1.5, "2", None, True, 2**63])
def test_a_start_that_is_no_position_is_refused(start: Any) -> None:
    """A start that is not a whole number from 0 on is refused with its value."""
    with pytest.raises(ValueError, match="progress must be a whole number >= 0 and at most 9223372036854775807, got"):
        TableLR(make_sgd(), make_table(), start=start)


def test_wrong_objects_are_refused() -> None:
    """An optimizer or table of another type is refused by name."""
    with pytest.raises(TypeError, match="optimizer must be a torch optimizer, got 3"):
        TableLR(3, make_table())  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(TypeError, match=r"table must be a Table, got \[0.1\]"):
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
        with pytest.raises(ValueError, match="progress must be a whole number"):
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
    assert train(optimizer, scheduler, 3) == RATES[3:6]
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
    applied = train(optimizer, TableLR(optimizer, make_table(stride=3)), 9)
    assert applied == [rate for rate in RATES[:3] for _ in range(3)]


# -- past the end -----------------------------------------------------------------------------------------------------


def test_hold_keeps_the_last_row_and_warns_once() -> None:
    """With `hold` the last values stay; one step past the end is silent, the next warns, once."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    train(optimizer, scheduler, 10)
    with pytest.warns(ScheduleWarning, match="step 11 is past the table's end, 10: its last values are held") as caught:
        applied = train(optimizer, scheduler, 5)
    assert applied == [RATES[-1]] * 5
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_error_raises_past_the_end_and_stays() -> None:
    """With `error` the second step past the end raises PastEndError and moves nothing."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table(after="error"))
    train(optimizer, scheduler, 10)
    update(optimizer)
    with pytest.raises(PastEndError, match="step 11 is past the table's end, 10"):
        scheduler.step()
    assert scheduler.last_epoch == 10


def test_release_hands_over_to_plateau() -> None:
    """With `release` a ReduceLROnPlateau owns the rate after the last row: its cuts stay."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table(after="release"))
    plateau = ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
    assert train(optimizer, scheduler, 10) == RATES
    for cut in (1, 0.5, 0.25, 0.125):
        plateau.step(1.0)
        update(optimizer)
        scheduler.step()
        assert values_of(optimizer) == scheduler.get_last_lr() == scheduler.get_lr() == [RATES[-1] * cut]


# -- tensors, groups, columns -----------------------------------------------------------------------------------------


def test_a_tensor_rate_is_filled_in_place() -> None:
    """A rate that is a tensor stays the same tensor object and takes the table's values."""
    rate = torch.tensor(1.0)
    optimizer = AdamW(make_groups(1), lr=rate)
    scheduler = TableLR(optimizer, make_table())
    applied = train(optimizer, scheduler, 5)
    assert applied == [float(np.float32(value)) for value in RATES[:5]]
    assert optimizer.param_groups[0]["lr"] is rate
    assert scheduler.get_last_lr() == [RATES[5]]


class CountingTensor(torch.Tensor):
    """A tensor that counts its fills."""

    fills = 0

    def fill_(self, value: Any) -> torch.Tensor:
        type(self).fills += 1
        return super().fill_(value)


def test_a_shared_tensor_is_filled_once() -> None:
    """Groups that share one tensor cost one fill per step."""
    optimizer = AdamW(make_groups(5), lr=torch.tensor(1.0).as_subclass(CountingTensor))
    scheduler = TableLR(optimizer, make_table())
    CountingTensor.fills = 0
    train(optimizer, scheduler, 3)
    assert CountingTensor.fills == 3


def test_an_added_group_gets_the_table_s_rate() -> None:
    """A group added later is scheduled from the next step on, without a warning, even where the rate stands still."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table([0.1, 0.1, 0.1, 0.05]))
    train(optimizer, scheduler, 1)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(3))]})
    train(optimizer, scheduler, 1)
    assert values_of(optimizer) == scheduler.get_last_lr() == [0.1, 0.1]
    train(optimizer, scheduler, 1)
    assert values_of(optimizer) == [0.05, 0.05]


def per_group_table(groups: int) -> Table:
    return Table({f"lr.{index}": [rate / (index + 1) for rate in RATES] for index in range(groups)})


def test_each_group_gets_its_own_column() -> None:
    """`lr.k` goes to parameter group k."""
    optimizer = make_sgd(3)
    scheduler = TableLR(optimizer, per_group_table(3))
    for rate in RATES:
        assert values_of(optimizer) == scheduler.get_last_lr() == [rate, rate / 2, rate / 3]
        update(optimizer)
        scheduler.step()


@pytest.mark.parametrize("groups", [1, 3])
def test_another_number_of_groups_is_an_error_that_lists_both(groups: int) -> None:
    """A table for two groups and an optimizer with another number is refused, with both written out."""
    with pytest.raises(ValueError, match=rf"2 parameter groups \(lr.0, lr.1\), the optimizer has {groups} \(0: 1 para"):
        TableLR(make_sgd(groups), per_group_table(2))


def test_a_group_added_to_rates_per_group_is_an_error() -> None:
    """A group that the table has no rate for stops the next step."""
    optimizer = make_sgd(2)
    scheduler = TableLR(optimizer, per_group_table(2))
    train(optimizer, scheduler, 1)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(3))], "name": "head"})
    update(optimizer)
    with pytest.raises(ValueError, match=r"the optimizer has 3 .*head: 1 parameters"):
        scheduler.step()


def test_rates_per_group_need_a_tensor_per_group() -> None:
    """One lr tensor shared by groups cannot hold a rate for each."""
    with pytest.raises(ValueError, match="groups share one lr tensor: give each its own"):
        TableLR(AdamW(make_groups(2), lr=torch.tensor(0.1)), per_group_table(2))
    groups = [{**group, "lr": torch.tensor(0.1)} for group in make_groups(2)]
    optimizer = AdamW(groups)
    TableLR(optimizer, per_group_table(2))
    assert values_of(optimizer) == [float(np.float32(rate)) for rate in (RATES[0], RATES[0] / 2)]


def test_a_group_without_a_rate_is_an_error() -> None:
    """A table that has rates for some groups only is refused."""
    with pytest.raises(ValueError, match=r"the table has no rate for group 1, only the columns lr\.0, lr\.2"):
        TableLR(make_sgd(3), Table({"lr.0": RATES, "lr.2": RATES}))


def test_momentum_and_weight_decay_go_to_their_places() -> None:
    """The columns momentum and weight_decay are written beside lr."""
    momenta, decays = [0.9 - 0.01 * k for k in range(10)], [0.001 * k for k in range(10)]
    table = Table({"lr": RATES, "momentum": momenta, "weight_decay": decays})
    optimizer = make_sgd(momentum=0.5)
    scheduler = TableLR(optimizer, table)
    for row in zip(RATES, momenta, decays, strict=True):
        group = optimizer.param_groups[0]
        assert row == (group["lr"], group["momentum"], group["weight_decay"])
        update(optimizer)
        scheduler.step()


@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
def test_beta1_is_the_first_of_betas(tensor: bool) -> None:
    """The column beta1 changes the first of Adam's betas alone, in place where that is a tensor."""
    betas: Any = (torch.tensor(0.9), torch.tensor(0.999)) if tensor else (0.9, 0.999)
    lr: Any = torch.tensor(0.1) if tensor else 0.1
    optimizer = Adam(make_groups(1), lr=lr, betas=betas, capturable=False, foreach=False)
    before = optimizer.param_groups[0]["betas"][0]
    TableLR(optimizer, Table({"lr": RATES, "beta1": [0.85] * 10}))
    after = optimizer.param_groups[0]["betas"]
    assert [float(beta) for beta in after] == pytest.approx([0.85, 0.999])
    assert (after[0] is before) == tensor


def test_a_column_without_a_place_is_an_error() -> None:
    """A column that the optimizer has no hyperparameter for is refused, and what there is is listed."""
    with pytest.raises(ValueError, match="the table has the column 'momentum', which group 0 has not, only lr, betas"):
        TableLR(AdamW(make_groups(1)), Table({"lr": RATES, "momentum": RATES}))


# -- compiled steps ---------------------------------------------------------------------------------------------------


def compiled_by_torch(step: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(step, backend="eager")


@pytest.mark.filterwarnings("default::DeprecationWarning:torch")  # torch's compiler uses what torch deprecates
@pytest.mark.parametrize(
    "compile_step",
    [
        pytest.param(functools.partial, id="stand-in"),
        pytest.param(compiled_by_torch, id="torch.compile", marks=pytest.mark.slow),
    ],
)
def test_an_already_compiled_step_is_fine(compile_step: Callable[..., Any]) -> None:
    """An `optimizer.step` that was compiled before the scheduler was made works, and its calls are noticed."""
    optimizer = make_sgd()
    optimizer.step = compile_step(optimizer.step)  # type: ignore[method-assign]  # what is under test
    scheduler = TableLR(optimizer, make_table())
    assert train(optimizer, scheduler, 5) == RATES[:5]


# -- other schedulers -------------------------------------------------------------------------------------------------


def sequential(optimizer: Optimizer) -> SequentialLR:
    tables = [TableLR(optimizer, make_table([1.0, 2.0])), TableLR(optimizer, make_table())]
    warmup = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    return SequentialLR(optimizer, [tables[0], warmup, tables[1]], milestones=[2, 4])


def test_a_member_of_sequential_lr() -> None:
    """A SequentialLR starts each table at its row 0 when its turn comes."""
    optimizer = make_sgd()
    applied = train(optimizer, sequential(optimizer), 8)
    assert applied == [1.0, 2.0, 0.5, 0.75, *RATES[:4]]


@pytest.mark.parametrize("optimizer_first", [True, False])
@pytest.mark.parametrize("saved_at", range(9))
def test_a_resumed_sequential_lr_goes_on_as_if_uninterrupted(saved_at: int, optimizer_first: bool) -> None:
    """A member writes on resume only what was in force, whether its turn is over, now, or still to come."""
    optimizer = make_sgd()
    whole = train(optimizer, sequential(optimizer), 12)
    optimizer = make_sgd()
    scheduler = sequential(optimizer)
    train(optimizer, scheduler, saved_at)
    states = through_file((optimizer.state_dict(), scheduler.state_dict()))

    optimizer = make_sgd()
    if optimizer_first:
        optimizer.load_state_dict(states[0])
    scheduler = sequential(optimizer)
    scheduler.load_state_dict(states[1])
    if not optimizer_first:
        optimizer.load_state_dict(states[0])
    assert train(optimizer, scheduler, 12 - saved_at) == whole[saved_at:]


def test_a_waiting_member_is_not_in_force() -> None:
    """A member whose turn is to come has nothing in force, even where the rate is as large as its own first."""
    optimizer = AdamW(make_groups(1), lr=torch.tensor(1.0))
    members = [TableLR(optimizer, make_table()), TableLR(optimizer, make_table())]
    SequentialLR(optimizer, [*members], milestones=[5])
    assert [member.state_dict()["in_force"] for member in members] == [True, False]


def test_a_member_of_chained_scheduler() -> None:
    """In a ChainedScheduler the factor of another scheduler is undone by the table, and that is warned about."""
    optimizer = make_sgd()
    scheduler = ChainedScheduler([TableLR(optimizer, make_table()), ConstantLR(optimizer, factor=1.0)], optimizer)
    assert train(optimizer, scheduler, 5) == RATES[:5]
    optimizer = make_sgd()
    scheduler = ChainedScheduler([ExponentialLR(optimizer, gamma=0.5), TableLR(optimizer, make_table())], optimizer)
    with pytest.warns(ScheduleWarning, match="another writer changed the learning rate"):
        assert train(optimizer, scheduler, 5) == RATES[:5]


# -- pitfalls ---------------------------------------------------------------------------------------------------------


class TwoSchedulers:
    """Steps one scheduler after another, as a loop does that uses both."""

    def __init__(self, *schedulers: LRScheduler) -> None:
        self.schedulers = schedulers

    def step(self) -> None:
        for scheduler in self.schedulers:
            scheduler.step()


@pytest.mark.parametrize("lr", [1.0, torch.tensor(1.0)], ids=["float", "tensor"])
def test_a_second_writer_is_warned_about_once(lr: Any) -> None:
    """Pitfall 3: two schedulers on one optimizer are noticed, once, at the line that steps."""
    optimizer = AdamW(make_groups(2), lr=lr)
    scheduler = TableLR(optimizer, make_table())
    other = CosineAnnealingLR(optimizer, T_max=10)
    with pytest.warns(ScheduleWarning, match="another writer changed the learning rate since") as caught:
        train(optimizer, TwoSchedulers(other, scheduler), 5)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_a_writer_of_a_later_group_is_noticed() -> None:
    """A change of the last group's rate alone is noticed and undone."""
    optimizer = make_sgd(2)
    scheduler = TableLR(optimizer, make_table([0.1] * 10))
    train(optimizer, scheduler, 3)
    optimizer.param_groups[1]["lr"] = 0.0
    with pytest.warns(ScheduleWarning, match="another writer"):
        train(optimizer, scheduler, 1)
    assert values_of(optimizer) == [0.1, 0.1]


def test_a_scheduler_never_stepped_is_warned_about() -> None:
    """Pitfall 1: a TableLR that goes away unstepped, while its optimizer was stepped, warns."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    update(optimizer)
    with pytest.warns(ScheduleWarning, match="this TableLR was never stepped, though its optimizer was"):
        del scheduler


def test_a_script_that_never_steps_is_warned_at_its_end() -> None:
    """Pitfall 1 in a script: the warning is on standard error when the interpreter ends."""
    script = """
import torch
from client.lr_scheduler import TableLR
from scheduler import Table
parameter = torch.nn.Parameter(torch.ones(1))
optimizer = torch.optim.SGD([parameter], lr=0.1)
scheduler = TableLR(optimizer, Table({"lr": [0.1, 0.2]}))
parameter.grad = torch.ones(1)
optimizer.step()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "this TableLR was never stepped" in done.stderr


@pytest.mark.parametrize("use", ["step", "set_progress", "nothing", "waiting", "over", "after earlier updates"])
def test_no_false_alarm(use: str) -> None:
    """A TableLR that was used, that nobody trained with, or whose turn did not come, goes away silently."""
    optimizer = make_sgd()
    if use == "after earlier updates":
        TableLR(make_sgd(), make_table())
        train(optimizer, ConstantLR(optimizer), 1)
    scheduler: LRScheduler = TableLR(optimizer, make_table())
    if use == "waiting":
        scheduler = SequentialLR(optimizer, [LinearLR(optimizer), scheduler], milestones=[5])
    if use == "over":
        scheduler = SequentialLR(optimizer, [scheduler, LinearLR(optimizer)], milestones=[1])
    if use != "nothing":
        update(optimizer)
    if use == "set_progress":
        assert isinstance(scheduler, TableLR)
        scheduler.set_progress(0)
    if use in ("step", "waiting", "over"):
        scheduler.step()
    del scheduler


# -- saving and resuming ----------------------------------------------------------------------------------------------


def adamw_with_floats() -> Optimizer:
    return AdamW(make_groups(2), lr=1.0)


def adamw_with_tensors() -> Optimizer:
    return AdamW(make_groups(2), lr=torch.tensor(1.0))


def sgd_with_momentum() -> Optimizer:
    return make_sgd(2, momentum=0.5)


TABLE_WITH_MOMENTUM = Table({"lr": RATES, "momentum": [0.9 - rate for rate in RATES]})
RESUMES = [
    pytest.param(adamw_with_floats, make_table(), id="floats"),
    pytest.param(adamw_with_tensors, make_table(), id="tensors"),
    pytest.param(sgd_with_momentum, TABLE_WITH_MOMENTUM, id="momentum"),
    pytest.param(sgd_with_momentum, per_group_table(2), id="per-group"),
]


def run(optimizer: Optimizer, scheduler: TableLR, steps: int) -> list[bytes]:
    """Every parameter's bytes after each of `steps` updates."""
    seen = []
    for _ in range(steps):
        update(optimizer)
        scheduler.step()
        seen.append(b"".join(group["params"][0].detach().numpy().tobytes() for group in optimizer.param_groups))
    return seen


@pytest.mark.parametrize("optimizer_first", [True, False], ids=["optimizer-first", "scheduler-first"])
@pytest.mark.parametrize(("make_optimizer", "table"), RESUMES)
def test_a_resumed_run_equals_an_uninterrupted_one(
    make_optimizer: Callable[[], Optimizer], table: Table, optimizer_first: bool
) -> None:
    """Training resumed through files gives the same weights, bit for bit, in either load order."""
    whole_optimizer = make_optimizer()
    whole = run(whole_optimizer, TableLR(whole_optimizer, table), 9)

    optimizer = make_optimizer()
    scheduler = TableLR(optimizer, table)
    first = run(optimizer, scheduler, 4)
    saved = through_file((optimizer.state_dict(), scheduler.state_dict()))
    weights = [group["params"][0].detach().clone() for group in optimizer.param_groups]

    optimizer = make_optimizer()
    for group, weight in zip(optimizer.param_groups, weights, strict=True):
        group["params"][0].data.copy_(weight)
    if optimizer_first:
        optimizer.load_state_dict(saved[0])
    scheduler = TableLR(optimizer, table)
    scheduler.load_state_dict(saved[1])
    if not optimizer_first:
        optimizer.load_state_dict(saved[0])
    assert first + run(optimizer, scheduler, 5) == whole


@pytest.mark.parametrize("optimizer_first", [True, False])
def test_a_resumed_plateau_keeps_its_cuts(optimizer_first: bool) -> None:
    """Where the table had released the rate, resuming puts the other scheduler's rate back, and never row 0."""
    table = make_table([0.4, 0.3], after="release")
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, table)
    train(optimizer, scheduler, 3)
    set_lr(optimizer, 0.07)
    saved = through_file((optimizer.state_dict(), scheduler.state_dict()))

    optimizer = make_sgd()
    if optimizer_first:
        optimizer.load_state_dict(saved[0])
    scheduler = TableLR(optimizer, table)
    scheduler.load_state_dict(saved[1])
    if not optimizer_first:
        optimizer.load_state_dict(saved[0])
    assert values_of(optimizer) == [0.07]
    assert train(optimizer, scheduler, 2) == [0.07, 0.07]


def test_an_optimizer_state_from_elsewhere_does_not_move_the_table() -> None:
    """Loading an optimizer's state with another rate in it leaves the table's row in force."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table(), start=3)
    optimizer.load_state_dict(make_sgd().state_dict())
    assert values_of(optimizer) == [RATES[3]]
    assert train(optimizer, scheduler, 3) == RATES[3:6]


def test_the_state_is_small_and_plain() -> None:
    """The state holds a position and a digest, never the table."""
    table = make_table([0.1] * 100_000)
    state = TableLR(make_sgd(), table).state_dict()
    assert state["digest"] == table.digest
    assert state["last_epoch"] == 0
    assert through_file(state) == state
    assert len(pickle.dumps(state)) < 1000


def test_another_table_is_refused_with_both_digests() -> None:
    """A state saved with another table is refused, nothing changes, and both digests are in the message."""
    old, new = make_table(), make_table(RATES[::-1])
    state = TableLR(make_sgd(), old, start=4).state_dict()
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, new)
    with pytest.raises(DigestMismatchError, match=f"saved with table {old.digest}, and this .* table {new.digest}"):
        scheduler.load_state_dict(state)
    assert scheduler.last_epoch == 0
    assert values_of(optimizer) == [new.get_lr(0)]


@pytest.mark.parametrize("given", ["yes", "the old table"])
def test_another_table_may_be_meant(given: str, caplog: pytest.LogCaptureFixture) -> None:
    """An allowed change goes on from the new table's row, and the log names digests, jump and first difference."""
    old, new = make_table(), make_table([*RATES[:3], *[0.5] * 7])
    state = TableLR(make_sgd(), old, start=4).state_dict()
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, new)
    scheduler.load_state_dict(state, allow_other_table=True if given == "yes" else old)
    assert train(optimizer, scheduler, 2) == [0.5, 0.5]
    assert f"from step 4 on: {new.digest} instead of {old.digest}, lr {RATES[4]} -> 0.5" in caplog.text
    assert ("they differ from row 3" in caplog.text) == (given != "yes")


def test_the_old_table_given_must_be_the_old_table() -> None:
    """A table given as the old one is checked against the state's digest."""
    scheduler = TableLR(make_sgd(), make_table())
    state = TableLR(make_sgd(), make_table(RATES[::-1])).state_dict()
    with pytest.raises(DigestMismatchError, match="and the old table given is"):
        scheduler.load_state_dict(state, allow_other_table=scheduler.table)


def test_tables_of_another_length_or_columns_differ_somewhere() -> None:
    """Tables that agree as far as both go differ from the shorter one's end; other columns differ from row 0."""
    assert first_difference(make_table(), make_table([*RATES, 0.5])) == 10
    assert first_difference(make_table(), per_group_table(2)) == 0


@pytest.mark.parametrize("optimizer_first", [True, False])
def test_a_shorter_table_that_releases_leaves_the_rate_in_force(optimizer_first: bool) -> None:
    """An allowed other table that has released the rate at the saved position leaves the saved rate, not its row 0."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    train(optimizer, scheduler, 6)
    states = optimizer.state_dict(), scheduler.state_dict()
    optimizer = make_sgd()
    if optimizer_first:
        optimizer.load_state_dict(states[0])
    scheduler = TableLR(optimizer, make_table([0.5, 0.4], after="release"))
    scheduler.load_state_dict(states[1], allow_other_table=True)
    if not optimizer_first:
        optimizer.load_state_dict(states[0])
    assert train(optimizer, scheduler, 2) == [RATES[6]] * 2
    assert not scheduler.state_dict()["in_force"]


def test_another_axis_is_never_allowed() -> None:
    """A position in steps means nothing in samples, whatever is allowed."""
    state = TableLR(make_sgd(), make_table()).state_dict()
    scheduler = TableLR(make_sgd(), make_table(axis="sample", stride=8))
    with pytest.raises(ValueError, match="the state counts steps by 1, the table samples by 8"):
        scheduler.load_state_dict(state, allow_other_table=True)


def test_a_state_of_another_class_is_refused() -> None:
    """A stock scheduler's state is refused, and what it lacks is named."""
    state = CosineAnnealingLR(make_sgd(), T_max=10).state_dict()
    with pytest.raises(ValueError, match="not the state of a TableLR: it has no axis, digest"):
        TableLR(make_sgd(), make_table()).load_state_dict(state)


def test_a_released_state_of_other_groups_is_refused() -> None:
    """Rates to put back must be as many as the optimizer has groups."""
    scheduler = TableLR(make_sgd(2), make_table(after="release"), start=20)
    with pytest.raises(ValueError, match="the state is of 2 parameter groups, the optimizer has 1"):
        TableLR(make_sgd(), make_table(after="release")).load_state_dict(scheduler.state_dict())


def test_a_dead_scheduler_leaves_the_optimizer_alone() -> None:
    """The optimizer does not keep a scheduler alive, and loads its state without it."""
    optimizer = make_sgd()
    state = optimizer.state_dict()
    TableLR(optimizer, make_table())
    gc.collect()
    optimizer.load_state_dict(state)
    assert values_of(optimizer) == [1.0]


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
@pytest.mark.parametrize("steps", [0, 4])
def test_a_copy_goes_on_by_itself(steps: int, copied: Callable[[Any], Any]) -> None:
    """A copy of optimizer and scheduler, made by deepcopy or pickle, goes on from the same row, hooks included."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    train(optimizer, scheduler, steps)
    other_optimizer, other = copied((optimizer, scheduler))
    assert train(other_optimizer, other, 3) == RATES[steps : steps + 3]
    assert scheduler.last_epoch == steps
    other_optimizer.load_state_dict(make_sgd().state_dict())
    assert values_of(other_optimizer) == [RATES[steps + 3]]


# -- set_lr -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lr", [0.25, 1, np.float64(0.5), np.float32(0.5), 0])
def test_set_lr_writes_python_floats(lr: Any) -> None:
    """`set_lr` writes a Python float into every group, whatever number it is given."""
    optimizer = make_sgd(3)
    set_lr(optimizer, lr)
    assert values_of(optimizer) == [float(lr)] * 3
    assert all(type(group["lr"]) is float for group in optimizer.param_groups)


def test_set_lr_fills_tensors_in_place() -> None:
    """`set_lr` keeps a tensor and fills it."""
    rate = torch.tensor(1.0)
    optimizer = AdamW(make_groups(2), lr=rate)
    set_lr(optimizer, 0.25)
    assert optimizer.param_groups[1]["lr"] is rate
    assert rate.item() == 0.25


NO_RATES = [math.nan, math.inf, -0.1, -1e-8, -math.inf, np.nextafter(1e12, 2e12), np.float64("nan"), 10**400]


@pytest.mark.parametrize("lr", NO_RATES, ids=[f"{rate!r:.20}" for rate in NO_RATES])
def test_set_lr_refuses_what_is_no_rate(lr: Any) -> None:
    """NaN, infinity, negative and absurd numbers are refused with the value, and nothing is written."""
    optimizer = make_sgd()
    with pytest.raises(ValueError, match=r"lr must be finite, >= 0 and <= 1e\+12, got .*(nan|inf|-0.1|-1e-08|10000)"):
        set_lr(optimizer, lr)
    assert values_of(optimizer) == [1.0]


@pytest.mark.parametrize("lr", [0.0, -5.55e-19, 1e12])
def test_set_lr_and_table_agree_on_what_a_rate_is(lr: float) -> None:
    """What a table may hold, a rounding below 0 included, set_lr and TableLR write, bit for bit."""
    optimizer = make_sgd()
    set_lr(optimizer, lr)
    assert values_of(optimizer) == [lr]
    set_lr(optimizer, 1.0)
    scheduler = TableLR(optimizer, make_table([lr]))
    assert values_of(optimizer) == [lr]
    scheduler.load_state_dict(scheduler.state_dict())
    assert values_of(optimizer) == [lr]


@pytest.mark.parametrize("lr", ["0.1", None, True, [0.1], 1j])
def test_set_lr_refuses_what_is_no_number(lr: Any) -> None:
    """What is not a number is refused with the value."""
    with pytest.raises(TypeError, match="lr must be a number, got"):
        set_lr(make_sgd(), lr)
