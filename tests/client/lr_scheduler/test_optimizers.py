"""Optimizers that wrap others, as LambdaLR takes them: torch's PostLocalSGDOptimizer, and shapes of other libraries."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.distributed.algorithms.model_averaging.averagers import ModelAverager
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from client.lr_scheduler import TableLR
from client.optimizer.hooks import with_hooks
from scheduler import Table
from tests.support.client.training import make_groups, through_file, train, update, values_of

with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # torch uses what torch deprecates
    from torch.distributed.optim import PostLocalSGDOptimizer

RATES = [0.1 / (row + 1) for row in range(10)]
TABLE = Table({"lr": RATES})


class NoAverager(ModelAverager):
    """Averages nothing: one process needs no process group."""

    def __init__(self) -> None:
        self.step = 0

    def average_parameters(self, params: Any) -> None:
        self.step += 1


class Forwarding(Optimizer):
    """As Accelerate's: it has not run torch's constructor, and its groups are those of the optimizer inside."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.defaults = getattr(optimizer, "defaults", {})

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]  # torch has an attribute there
        return self.optimizer.param_groups

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # torch overloads it
        self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state_dict)


class Lookahead(Optimizer):
    """As timm's: hooks of its own for steps, none for loading, after which it takes over the list of groups."""

    def __init__(self, base_optimizer: Optimizer) -> None:
        self._optimizer_step_pre_hooks: dict[int, Any] = {}
        self._optimizer_step_post_hooks: dict[int, Any] = {}
        self._base_optimizer = base_optimizer
        self.param_groups = base_optimizer.param_groups
        self.defaults = base_optimizer.defaults
        self.state = defaultdict(dict)
        for group in base_optimizer.param_groups:
            group.setdefault("lookahead_step", 0)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = self._base_optimizer.step(closure)
        for group in self._base_optimizer.param_groups:
            group["lookahead_step"] += 1
        return loss

    def state_dict(self) -> dict[str, Any]:
        return self._base_optimizer.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._base_optimizer.load_state_dict(state_dict)
        self.param_groups = self._base_optimizer.param_groups


class Several(Optimizer):
    """A container of optimizers, one for each group, that lists the groups they had when it was made."""

    def __init__(self, optimizers: list[Optimizer]) -> None:
        self.optimizers = optimizers
        self.param_groups = [group for optimizer in optimizers for group in optimizer.param_groups]

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # torch overloads it
        for optimizer in self.optimizers:
            optimizer.step(closure)

    def state_dict(self) -> dict[str, Any]:
        return {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for optimizer, state in zip(self.optimizers, state_dict["optimizers"], strict=True):
            optimizer.load_state_dict(state)


def sgd(groups: int = 2) -> SGD:
    return SGD(make_groups(groups), lr=1.0)


WRAPPERS: dict[str, Callable[[], Any]] = {
    "PostLocalSGDOptimizer": lambda: PostLocalSGDOptimizer(sgd(), NoAverager()),
    "forwarding": lambda: Forwarding(sgd()),
    "Lookahead": lambda: Lookahead(sgd()),
    "several": lambda: Several([sgd(1), sgd(1)]),
    "Lookahead of forwarding": lambda: Lookahead(Forwarding(sgd())),
    "forwarding PostLocalSGDOptimizer": lambda: Forwarding(PostLocalSGDOptimizer(sgd(), NoAverager())),
}
every_wrapper = pytest.mark.parametrize("make", WRAPPERS.values(), ids=WRAPPERS)


def used_rates(optimizer: Any) -> list[float]:
    """The rates in the groups that the optimizers inside step with."""
    return [rate for inner in with_hooks(optimizer) for rate in values_of(inner)]


def applied(optimizer: Any, scheduler: Any, steps: int) -> list[list[float]]:
    seen = []
    for _ in range(steps):
        seen.append(used_rates(optimizer))
        update(optimizer)
        scheduler.step()
    return seen


@every_wrapper
def test_a_wrapper_that_lambda_lr_takes_gets_the_table_s_rates(make: Callable[[], Any]) -> None:
    """The table's rates arrive in the groups that are stepped with, as LambdaLR's do."""
    optimizer, other = make(), make()
    expected = [[rate] * 2 for rate in RATES[:6]]
    assert applied(other, LambdaLR(other, RATES.__getitem__), 6) == expected
    assert applied(optimizer, TableLR(optimizer, TABLE), 6) == expected


@every_wrapper
@pytest.mark.parametrize("order", ["optimizer, new scheduler", "optimizer, scheduler", "scheduler, optimizer"])
def test_a_resumed_wrapper_goes_on_with_the_right_rates(make: Callable[[], Any], order: str) -> None:
    """After a resume the optimizers inside step with the table's rates, in either load order, and go on so."""
    optimizer = make()
    scheduler = TableLR(optimizer, TABLE)
    train(optimizer, scheduler, 3)
    older = through_file(optimizer.state_dict())
    train(optimizer, scheduler, 1)
    state = through_file(scheduler.state_dict())

    optimizer = make()
    if order == "optimizer, new scheduler":
        optimizer.load_state_dict(older)
    scheduler = TableLR(optimizer, TABLE)
    if order == "optimizer, scheduler":
        optimizer.load_state_dict(older)
    scheduler.load_state_dict(state)
    if order == "scheduler, optimizer":
        optimizer.load_state_dict(older)
    assert applied(optimizer, scheduler, 4) == [[rate] * 2 for rate in RATES[4:8]]


def test_the_inner_optimizer_may_be_loaded_by_itself() -> None:
    """Loading the state of the optimizer inside keeps the table's row."""
    inner = sgd()
    optimizer = Forwarding(inner)
    scheduler = TableLR(optimizer, TABLE)
    train(optimizer, scheduler, 3)
    inner.load_state_dict(sgd().state_dict())
    assert values_of(inner) == [RATES[3]] * 2


def test_a_group_added_after_a_resume_is_driven() -> None:
    """A wrapper that would list old groups after loading lists those in use, also the ones that come later."""
    optimizer: Any = PostLocalSGDOptimizer(sgd(), NoAverager())
    scheduler = TableLR(optimizer, TABLE)
    optimizer.load_state_dict(through_file(optimizer.state_dict()))
    optimizer.add_param_group(make_groups(1)[0])
    update(optimizer)
    scheduler.step()
    assert used_rates(optimizer) == [RATES[1]] * 3


class Closed(Optimizer):
    """An optimizer by class alone with groups of its own: nothing in it calls a hook."""

    def __init__(self) -> None:
        self.param_groups = make_groups(2, lr=1.0)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # torch overloads it
        """Train nothing."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.param_groups = [{**group, **state_dict} for group in self.param_groups]


@pytest.mark.filterwarnings("ignore:another writer:scheduler.ScheduleWarning")  # the state that was loaded
def test_without_hooks_the_step_after_loading_is_right() -> None:
    """Where nothing calls a hook, a state loaded after the scheduler's lasts for one update, before it for none."""
    optimizer = Closed()
    scheduler = TableLR(optimizer, TABLE)
    train(optimizer, scheduler, 3)
    optimizer.load_state_dict({"lr": 0.7})
    assert train(optimizer, scheduler, 2) == [[0.7, 0.7], [RATES[4]] * 2]
    scheduler.load_state_dict(scheduler.state_dict())
    assert train(optimizer, scheduler, 2) == [[RATES[5]] * 2, [RATES[6]] * 2]


def test_optimizers_that_hold_one_another_end_the_search() -> None:
    """Two wrappers that refer to each other are searched once."""
    first, second = Closed(), Closed()
    first.other, second.other = second, first  # type: ignore[attr-defined]  # what is under test
    assert [*with_hooks(first)] == []
    inner = sgd()
    second.inner = inner  # type: ignore[attr-defined]  # what is under test
    assert [*with_hooks(first)] == [inner]
