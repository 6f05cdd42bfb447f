"""A damaged state of a torch scheduler gives a schedule or a `StateError`, and never another error."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler as torch_schedulers

from scheduler import from_torch_state
from scheduler.interop.state_fields import StateError
from tests.support.schedules.torch_setups import SETUPS, advanced, sgd

Path = tuple[Any, ...]

NAMES = [
    *("nested", "sequential", "chained", "groups", "equal-groups", "one-cycle-momentum", "one-cycle-betas", "cyclic"),
    *("multi-step", "warm-restarts", "swa", "tensor-rate", "mid-run", "mid-run-step", "tensor-rates-of-groups"),
]
_DELETED = object()
GARBAGE: list[Any] = [
    *(None, True, -1, 0, 1, 3, 0.5, -0.5, 10**12, 10**400, -(10**30), 1e308, 5e-324, float("nan"), float("inf")),
    *("", "x", b"x", [], {}, [[]], [None], [1, 2, 3], {"a": 1}, {3: 10**9}, {-1: 2}, [{}], [{"end_step": "a"}] * 2),
    *(torch.zeros(3), torch.tensor([]), torch.tensor(True), torch.tensor(1j), object(), (1, 2), {1: {2: {3: 4}}}),
    _DELETED,
]


def saved(name: str) -> dict[str, Any]:
    """A valid state of each class, with the groups of its optimizer."""
    scheduler = advanced(SETUPS[name](), 7)
    groups = [{**group, "params": [0]} for group in scheduler.optimizer.param_groups]
    return {"state": scheduler.state_dict(), "groups": groups}


SAVED = {name: saved(name) for name in NAMES}


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every place in nested data."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*path, key)
        yield from places(value[key], (*path, key))


def damaged(value: Any, path: Path, new: Any) -> Any:
    """A copy of nested data with another value at a place."""
    changed, (key, *rest) = copy.copy(value), path
    if rest:
        changed[key] = damaged(value[key], (*rest,), new)
    elif new is _DELETED:
        del changed[key]
    else:
        changed[key] = new
    return changed


@given(st.sampled_from(NAMES), st.lists(st.sampled_from(GARBAGE), min_size=1, max_size=3), st.data())
def test_a_damaged_state_raises_nothing_else(name: str, garbage: list[Any], data: st.DataObject) -> None:
    """Whatever is missing or replaced, at any depth: there is a schedule, or one error of ours."""
    found = SAVED[name]
    for new in garbage:
        where = [path for path in places(found) if new is not _DELETED or len(path) > 1]
        found = damaged(found, data.draw(st.sampled_from(where)), new)
    with suppress(StateError):
        from_torch_state(found["state"], groups=found["groups"])


def step_lr(**changes: Any) -> Any:
    """The state of a StepLR, changed."""
    return {**torch_schedulers.StepLR(sgd(), 3).state_dict(), **changes}


def deep() -> Any:
    """Members within members without end."""
    state = step_lr()
    for _ in range(200):
        state = {"_schedulers": [state], "_last_lr": [0.1]}
    return state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (lambda: None, "the state of a scheduler must be a dict, got None"),
        (lambda: step_lr(step_size="3"), r"the state's step_size must be a whole number from 0 to \d+, got '3'"),
        (lambda: step_lr(gamma=None), "the state's gamma must be a finite number, got None"),
        (lambda: step_lr(base_lrs=[[0.1]]), r"base_lrs must be a list of finite numbers, one .*, got \[\[0\.1\]\]"),
        (lambda: step_lr(last_epoch=float("nan")), r"last_epoch must be a whole number from -64 to \d+, got nan"),
        (lambda: step_lr(last_epoch=-1), r"last_epoch must be a whole number from 0 to \d+, got -1"),
        (lambda: step_lr(_last_lr=[0.1, 0.1]), r"_last_lr must have one number for each of 1 parameter groups, got"),
        (lambda: {"step_size": 3, "gamma": 0.1, "last_epoch": 3}, r"StepLR has base_lrs; this one has 'gamma, last_"),
        (lambda: {"_schedulers": [step_lr(gamma=[])]}, r"state's _schedulers\[0\]\.gamma must be .*, got \[\]"),
        (lambda: {"_schedulers": [step_lr(), {"a": 1}]}, r"_schedulers\[1\]: this is the state of no scheduler"),
        (deep, "must be at most 64 levels deep, got more"),
    ],
)
def test_the_field_and_its_value_are_named(state: Callable[[], Any], message: str) -> None:
    """The message says which key of the file is wrong, and what it holds."""
    with pytest.raises(StateError, match=message):
        from_torch_state(state())


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (None, r"give groups=optimizer_state\['param_groups'\], too"),
        (["x"], r"the optimizer's param_groups\[0\] must be a dict, got 'x'"),
        ([{"params": [0], "lr": 0.1}], r"param_groups\[0\] has no swa_lr, which its scheduler reads; it has 'lr'"),
        ([{"swa_lr": "0.05"}], r"the optimizer's param_groups\[0\]\.swa_lr must be a finite number, got '0\.05'"),
        ([{"swa_lr": 0.05}, {"swa_lr": 0.05}], "base_lrs must have one number for each of 2 parameter groups"),
    ],
)
def test_what_the_optimizer_holds_is_checked(groups: Any, message: str) -> None:
    """The fields that torch keeps in the optimizer's groups are named as those of the state are."""
    state = torch.optim.swa_utils.SWALR(sgd(), swa_lr=0.05).state_dict()
    with pytest.raises(StateError, match=message):
        from_torch_state(state, groups=groups)
