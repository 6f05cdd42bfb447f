"""Rows count the updates that the optimizer really makes, whoever steps the scheduler and however often.

`EXAMPLES=20000 python -m pytest --timeout=0 tests/client/lr_scheduler/test_updates.py` tries that many sequences.
"""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import AdamW, Optimizer

from client.lr_scheduler import TableLR
from scheduler import ScheduleWarning, Table
from tests.support.client.tables import RATES, make_sgd, make_table, rates_in_force
from tests.support.client.training import make_groups, record_rates, skip, through_file, update, values_of

EXAMPLES = int(os.environ.get("EXAMPLES", "300"))
LONG = Table({"lr": [0.1 / (row + 1) for row in range(40)]})


# -- the law ----------------------------------------------------------------------------------------------------------


class Training:
    """An optimizer and a scheduler that go through anything, and the rates of all updates."""

    def __init__(self, make: Callable[[], Optimizer]) -> None:
        self.make = make
        self.optimizer = make()
        self.applied = record_rates(self.optimizer)
        self.scheduler = TableLR(self.optimizer, LONG)

    def do(self, what: str) -> None:
        """One event."""
        if what == "update":
            update(self.optimizer)
        elif what == "skipped update":
            skip(self.optimizer)
        elif what == "step":
            self.scheduler.step()
        elif what == "zero_grad":
            self.optimizer.zero_grad()
        elif what == "copy":
            self.optimizer, self.scheduler = copy.deepcopy((self.optimizer, self.scheduler))
            self.record()
        else:
            self.resume(*through_file((self.optimizer.state_dict(), self.scheduler.state_dict())))

    def resume(self, of_optimizer: Any, of_scheduler: Any) -> None:
        self.optimizer = self.make()
        self.record()
        self.scheduler = TableLR(self.optimizer, LONG)
        self.scheduler.load_state_dict(of_scheduler)
        self.optimizer.load_state_dict(of_optimizer)

    def record(self) -> None:
        before = self.applied
        optimizer = self.optimizer
        optimizer.register_step_pre_hook(lambda *_: before.append(float(optimizer.param_groups[0]["lr"])))


def sgd_with_floats() -> Optimizer:
    return make_sgd(2)


def adamw_with_tensors() -> Optimizer:
    return AdamW(make_groups(2), lr=torch.tensor(1.0, dtype=torch.float64))


EVENTS = ["update", "update", "step", "step", "skipped update", "zero_grad", "save and load", "copy"]


@given(
    make=st.sampled_from([sgd_with_floats, adamw_with_tensors]),
    events=st.lists(st.sampled_from(EVENTS), max_size=30),
)
@settings(max_examples=EXAMPLES)
def test_row_k_is_in_force_during_update_k_whatever_happens_between(
    make: Callable[[], Optimizer], events: list[str]
) -> None:
    """Updates, skipped ones, steps, saves, loads and copies in any order: once one update came, row k is update k's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # ours, and torch's of the order of the calls
        training = Training(make)
        for event in ["update", *events, "update"]:
            training.do(event)
    assert training.applied == LONG.lr.tolist()[: len(training.applied)]


# -- who steps, and how often -----------------------------------------------------------------------------------------


def test_a_step_per_process_moves_one_row_an_update() -> None:
    """Stepped twice after each update, as Accelerate does in two processes, the scheduler moves once, and counts."""
    optimizer = make_sgd()
    applied = record_rates(optimizer)
    scheduler = TableLR(optimizer, make_table())
    for k in range(6):
        update(optimizer)
        assert values_of(optimizer) == [RATES[k]]  # as torch has it: what was just used
        scheduler.step()
        scheduler.step()
        assert values_of(optimizer) == scheduler.get_last_lr() == [RATES[k + 1]]
    assert applied == RATES[:6]
    assert scheduler._step_count == 13  # Accelerate reads it


def test_a_forgotten_step_does_no_harm_and_is_told_once() -> None:
    """Without any step() the rows go on with the updates, and the second update warns, at the optimizer's step."""
    optimizer = make_sgd()
    applied = record_rates(optimizer)  # a hook from before the scheduler's sees the rate of the update, too
    scheduler = TableLR(optimizer, make_table())
    update(optimizer)
    with pytest.warns(ScheduleWarning, match=r"rows count updates, .* make the table with axis='epoch'"):
        update(optimizer)
    for _ in range(3):
        update(optimizer)
    assert applied == RATES[:5]
    scheduler.step()
    assert values_of(optimizer) == [RATES[5]]


def test_a_skipped_update_keeps_its_row() -> None:
    """A step() after an update that a GradScaler skipped moves nothing, the first one included."""
    optimizer = make_sgd()
    applied = record_rates(optimizer)
    scheduler = TableLR(optimizer, make_table())
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # torch's, of the order of the calls
        for event in (skip, skip, update, skip, update, update):
            event(optimizer)
            scheduler.step()
            optimizer.zero_grad()
    assert applied == RATES[:3]
    assert values_of(optimizer) == [RATES[3]]


class Growing(torch.nn.Module):
    """A weight whose loss is infinite in the batches named."""

    def __init__(self, infinite: set[int]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.infinite = infinite

    def forward(self, batch: int) -> torch.Tensor:
        return self.weight.sum() * (torch.inf if batch in self.infinite else 1.0)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("infinite", [{1}, {0}, {0, 3, 4}])
def test_a_grad_scaler_loses_no_row(fused: bool, infinite: set[int]) -> None:
    """With a GradScaler the rows count the updates that it did not skip, also where the fused kernel skips them."""
    model = Growing(infinite)
    optimizer = AdamW(model.parameters(), lr=1.0, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    begun = record_rates(optimizer)
    scheduler = TableLR(optimizer, make_table())
    applied = []
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # torch's, of the order of the calls
        for batch in range(8):
            before = model.weight.detach().clone()
            scaler.scale(model(batch)).backward()
            scaler.step(optimizer)
            scaler.update()
            scheduler.step()
            optimizer.zero_grad()
            if not torch.equal(before, model.weight.detach()):
                applied.append(begun[-1])
    assert len(applied) == 8 - len(infinite)
    assert applied == RATES[: len(applied)]


@pytest.mark.parametrize("every", [2, 3])
@pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step:UserWarning")  # in the first batches
def test_a_step_per_accumulated_batch_moves_one_row_an_update(every: int) -> None:
    """Stepped after each batch while gradients are accumulated, rows count updates from the first on."""
    optimizer = make_sgd()
    applied = record_rates(optimizer)
    scheduler = TableLR(optimizer, make_table())
    for batch in range(1, 13):
        if batch % every:
            skip(optimizer)
        else:
            update(optimizer)
        scheduler.step()
        if batch % every == 0:
            optimizer.zero_grad()
    assert applied == RATES[: 12 // every]


def test_a_loop_without_updates_is_torch_s() -> None:
    """Where no update was ever made each step() is a row: for previews, and to go forward to where a training was."""
    optimizer = make_sgd()
    applied = record_rates(optimizer)
    scheduler = TableLR(optimizer, make_table())
    optimizer._opt_called = True  # type: ignore[attr-defined]  # torch's own mark, against its warning
    preview = []
    for _ in range(5):
        preview += values_of(optimizer)
        scheduler.step()
    assert preview == RATES[:5]
    rates_in_force(optimizer, scheduler, 3)
    assert applied == RATES[5:8]


def test_a_preview_after_a_resume_is_taken_back() -> None:
    """Steps between a load and the first update show the rows to come, and that update has its own."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    rates_in_force(optimizer, scheduler, 3)
    state = through_file(scheduler.state_dict())
    optimizer = make_sgd()
    applied = record_rates(optimizer)
    scheduler = TableLR(optimizer, make_table())
    scheduler.load_state_dict(state)
    preview = []
    for _ in range(3):
        preview += values_of(optimizer)
        scheduler.step()
    assert preview == RATES[3:6]
    rates_in_force(optimizer, scheduler, 4)
    assert applied == RATES[3:7]


def test_a_state_of_a_version_that_did_not_watch_still_loads() -> None:
    """A state without what is known of updates goes on as torch says."""
    scheduler = TableLR(make_sgd(), make_table(), start=4)
    state = scheduler.state_dict()
    for name in ("update_made", "updates_seen", "ahead"):
        del state[name]
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    scheduler.load_state_dict(state)
    assert rates_in_force(optimizer, scheduler, 4) == RATES[4:8]


def test_advance_takes_the_word_of_a_trainer_that_skipped() -> None:
    """`advance(stepped=False)` after a step of the optimizer that changed nothing moves nothing, then or later."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, make_table())
    for stepped in (True, False, False, True):
        update(optimizer)
        scheduler.advance(stepped=stepped)
    assert values_of(optimizer) == [RATES[2]]
