"""TableLRs inside torch's composites, saved and resumed at any moment: they go on as if nothing had happened.

`EXAMPLES=20000 python -m pytest --timeout=0 tests/client/lr_scheduler/test_composites.py` tries that many composites
and moments.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import ChainedScheduler, ConstantLR, ExponentialLR, LinearLR, LRScheduler, SequentialLR

from client.lr_scheduler import TableLR
from scheduler import Table
from scheduler.builtin import ExponentialLR as ExponentialTwin
from scheduler.builtin import StepLR as StepTwin
from tests.support.client.training import make_groups, through_file, train, update, values_of

LENGTH = 14  # updates of a run
EXAMPLES = int(os.environ.get("EXAMPLES", "150"))

Make = Callable[[Optimizer], LRScheduler]


# -- composites -------------------------------------------------------------------------------------------------------


@st.composite
def tables(draw: st.DrawFn) -> Make:
    """A TableLR: absolute or relative, held or released, one rate or one for each of the two groups."""
    rates = st.lists(st.sampled_from([0.5, 0.1, 0.1, 0.05, 0.025, 0.3]), min_size=3, max_size=LENGTH)
    first = draw(rates)
    columns = draw(st.sampled_from([{"lr": first}, {"lr.0": first, "lr.1": [rate / 3 for rate in first]}]))
    table = Table(columns, after=draw(st.sampled_from(["hold", "hold", "release"])))
    relative = draw(st.booleans())
    return lambda optimizer: TableLR(optimizer, table, relative=relative)


STOCK: st.SearchStrategy[Make] = st.sampled_from(
    [
        lambda optimizer: LinearLR(optimizer, start_factor=0.5, total_iters=3),
        lambda optimizer: ConstantLR(optimizer, factor=0.5, total_iters=2),
        lambda optimizer: ExponentialLR(optimizer, gamma=0.5),
    ]
)


@st.composite
def composites(draw: st.DrawFn, depth: int = 2) -> Make:
    """A composite of torch's, nested where torch can: a SequentialLR takes another composite as its first alone."""
    if depth == 0:
        return draw(tables() | tables() | STOCK)
    inner = composites(depth - 1)
    if draw(st.booleans()):
        chained = [draw(inner) for _ in range(draw(st.integers(1, 3)))]
        return lambda optimizer: ChainedScheduler([make(optimizer) for make in chained], optimizer)
    members = [draw(inner), *(draw(composites(0)) for _ in range(draw(st.integers(1, 2))))]
    milestones = sorted(draw(st.sets(st.integers(1, 8), min_size=len(members) - 1, max_size=len(members) - 1)))
    return lambda optimizer: SequentialLR(optimizer, [make(optimizer) for make in members], [*milestones])


def adamw_with_floats() -> Optimizer:
    return AdamW(make_groups(2), lr=1.0)


def adamw_with_tensors() -> Optimizer:
    return AdamW([{**group, "lr": torch.tensor(1.0)} for group in make_groups(2)])


def sgd_with_rates_of_their_own() -> Optimizer:
    first, second = make_groups(2)
    return SGD([{**first, "lr": 0.5}, {**second, "lr": 0.25}], lr=1.0)


OPTIMIZERS = [adamw_with_floats, adamw_with_tensors, sgd_with_rates_of_their_own]


# -- saving and resuming ----------------------------------------------------------------------------------------------


@dataclass
class Saved:
    """The two states of a checkpoint, and the rates of all updates from its scheduler's state on."""

    optimizer: Any
    scheduler: Any
    rest: list[list[float]]

    @property
    def of_tables(self) -> list[dict[str, Any]]:
        return [*leaves(self.scheduler)]

    @property
    def in_force(self) -> bool:
        return any(state["in_force"] for state in self.of_tables)


def leaves(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The states of the TableLRs in a composite's."""
    if "digest" in state:
        yield state
    for member in state.get("_schedulers", ()):
        yield from leaves(member)


def run(optimizer: Optimizer, scheduler: LRScheduler, optimizer_saved_at: int, scheduler_saved_at: int) -> Saved:
    """Train, and save each of the two before the numbered call: even ones are updates, odd ones scheduler steps."""
    saved = Saved(None, None, [])
    for call in range(2 * LENGTH):
        if call == optimizer_saved_at:
            saved.optimizer = through_file(optimizer.state_dict())
        if call == scheduler_saved_at:
            saved.scheduler = through_file(scheduler.state_dict())
        if call % 2:
            scheduler.step()
            continue
        if call >= scheduler_saved_at:
            saved.rest.append(values_of(optimizer))
        update(optimizer)
    return saved


def go_on(optimizer: Optimizer, scheduler: LRScheduler, saved_at: int) -> list[list[float]]:
    """The rates of all updates from a call on."""
    applied = []
    for call in range(saved_at, 2 * LENGTH):
        if call % 2:
            scheduler.step()
        else:
            applied.append(values_of(optimizer))
            update(optimizer)
    return applied


ORDERS = [
    "optimizer, new scheduler",
    "optimizer, scheduler",
    "scheduler, optimizer",
    "rewound",
    "rewound, optimizer last",
]


def resume(
    saved: Saved,
    order: str,
    make_optimizer: Callable[[], Optimizer],
    make: Make,
    running: tuple[Optimizer, LRScheduler],
) -> tuple[Optimizer, LRScheduler]:
    """Load the two states in an order, into new objects or back into the running ones."""
    optimizer = make_optimizer()
    if order == "optimizer, new scheduler":
        optimizer.load_state_dict(saved.optimizer)
    optimizer, scheduler = running if order.startswith("rewound") else (optimizer, make(optimizer))
    if order in ("optimizer, scheduler", "rewound"):
        optimizer.load_state_dict(saved.optimizer)
    scheduler.load_state_dict(saved.scheduler)
    again = scheduler.state_dict()
    assert [*leaves(again)] == saved.of_tables
    if order in ("scheduler, optimizer", "rewound, optimizer last"):
        optimizer.load_state_dict(saved.optimizer)
    return optimizer, scheduler


@given(
    make=composites(),
    make_optimizer=st.sampled_from(OPTIMIZERS),
    order=st.sampled_from(ORDERS),
    saved_at=st.integers(0, 2 * LENGTH - 1),
    optimizer_earlier=st.integers(0, 3),
)
@settings(max_examples=EXAMPLES)
def test_a_composite_resumed_at_any_moment_goes_on_as_if_uninterrupted(
    make: Make, make_optimizer: Callable[[], Optimizer], order: str, saved_at: int, optimizer_earlier: int
) -> None:
    """Every rate after a resume is that of the uninterrupted run, whatever was in force and whichever is loaded first.

    The optimizer's state may have been saved some calls earlier where a table's rates were in force, which then count.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of chains that overwrite one another, and torch's own
        optimizer = make_optimizer()
        scheduler = make(optimizer)
        saved = run(optimizer, scheduler, max(saved_at - optimizer_earlier, 0), saved_at)
        assume(saved.of_tables)  # else all is torch's
        assume(saved.in_force or not optimizer_earlier)  # else the rates are those of the optimizer's state
        resumed = resume(saved, order, make_optimizer, make, (optimizer, scheduler))
        assert go_on(*resumed, saved_at) == saved.rest


@pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step:UserWarning")  # resumed between the two
@pytest.mark.parametrize("saved_at", range(0, 2 * LENGTH, 3))
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("make_optimizer", OPTIMIZERS[:2])
def test_two_tables_in_sequence_know_which_is_in_force(
    make_optimizer: Callable[[], Optimizer], order: str, saved_at: int
) -> None:
    """Which of two tables is in force is saved and comes back, and an older state of the optimizer changes nothing."""

    def make(optimizer: Optimizer) -> SequentialLR:
        twins = ExponentialTwin(0.1, 0.5).table(40), StepTwin(0.1, 3).table(40)
        return SequentialLR(optimizer, [TableLR(optimizer, twin) for twin in twins], [10])

    optimizer = make_optimizer()
    scheduler = make(optimizer)
    saved = run(optimizer, scheduler, max(saved_at - 1, 0), saved_at)
    assert [state["in_force"] for state in saved.of_tables] == [saved_at < 20, saved_at >= 20]
    resumed = resume(saved, order, make_optimizer, make, (optimizer, scheduler))
    assert go_on(*resumed, saved_at) == saved.rest


@pytest.mark.parametrize("order", ["in force first", "in force last"])
def test_another_table_s_rates_stay_in_force(order: str) -> None:
    """Where an allowed other table is in force, a member whose turn is over does not put the old rate back."""
    old, new = Table({"lr": [0.1, 0.2, 0.3]}), Table({"lr": [0.5, 0.6, 0.7]})
    optimizer = adamw_with_floats()
    over, now = TableLR(optimizer, old), TableLR(optimizer, old, start=2)
    states = over.state_dict(), now.state_dict()
    optimizer = adamw_with_floats()
    pairs = list(zip([TableLR(optimizer, new), TableLR(optimizer, new)], states, strict=True))
    for scheduler, state in pairs if order == "in force last" else pairs[::-1]:
        scheduler.load_state_dict(state, allow_other_table=True)
    assert values_of(optimizer) == [0.7, 0.7]
    assert train(optimizer, pairs[1][0], 1) == [[0.7, 0.7]]
