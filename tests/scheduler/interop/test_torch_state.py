"""A saved state of a torch scheduler gives the schedule that the scheduler was made with."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch.optim import SGD, AdamW
from torch.optim import lr_scheduler as torch_schedulers

from scheduler import from_torch_state
from scheduler.compose import Shift
from scheduler.interop.recognise import describe
from scheduler.interop.state_fields import StateError
from scheduler.interop.torch_state import candidates, is_state
from tests.support.schedules.torch_setups import SETUPS, advanced, sgd

NAMES = [
    *("sequential", "chained", "groups", "equal-groups", "one-cycle-momentum", "one-cycle-betas"),
    *("one-cycle-rate-alone", "cyclic", "multi-step", "warm-restarts", "swa"),
]


def saved(scheduler: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The states of a scheduler and its optimizer's groups, as a checkpoint that is loaded safely has them."""
    file = io.BytesIO()
    torch.save([scheduler.state_dict(), scheduler.optimizer.state_dict()], file)
    file.seek(0)
    state, optimizer = torch.load(file, weights_only=True)
    return state, optimizer["param_groups"]


@pytest.mark.parametrize("steps", [0, 7])
@pytest.mark.parametrize("name", NAMES)
def test_a_state_gives_the_schedule_that_is_described(name: str, steps: int) -> None:
    """What `describe` finds in a scheduler is found in its state, from step 0 on, with the position beside it."""
    scheduler = advanced(SETUPS[name](), steps)
    described = describe(scheduler)
    state, groups = saved(scheduler)
    found = from_torch_state(state, groups=groups)
    several = found.schedule if isinstance(found.schedule, list) else [found.schedule]
    begun = [Shift(schedule, steps) if steps else schedule for schedule in several]
    assert begun == (described if isinstance(described, list) else [described])
    assert (found.name, found.position) == (type(scheduler).__name__, steps)
    assert found.rates_agree
    assert is_state(state)


def test_the_class_of_every_state_is_told_by_its_keys() -> None:
    """Each class of torch's has keys of its own, except that two hold nothing but functions."""
    made = [SETUPS[name]() for name in NAMES]
    assert all(candidates(each.state_dict()) == [type(each).__name__] for each in made)
    function = torch_schedulers.LambdaLR(sgd(), lambda step: 1.0)
    assert candidates(function.state_dict()) == ["LambdaLR", "MultiplicativeLR"]


def state_of(scheduler: Any, **changes: Any) -> dict[str, Any]:
    """A state, changed."""
    return {**scheduler.state_dict(), **changes}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (state_of(torch_schedulers.LambdaLR(sgd(), lambda step: 1.0)), r"state of a LambdaLR .*scheduler\.capture"),
        (state_of(torch_schedulers.ReduceLROnPlateau(sgd())), "a ReduceLROnPlateau has no schedule: .*amendment"),
        (state_of(torch_schedulers.OneCycleLR(sgd(), 0.1, total_steps=9)), "keeps its rates in the optimizer's groups"),
        (state_of(torch_schedulers.ExponentialLR(sgd(), 0.9), mine=1), "may be that of ExponentialLR: say which"),
        (state_of(torch_schedulers.StepLR(sgd(), 3), milestones={3: 1}), "that of StepLR, MultiStepLR.*: say which"),
        (state_of(torch_schedulers.StepLR(sgd(), 3), _last_lr=[0.3]), r"rate at step 0 is 0\.3 in group 0, .* 0\.1"),
        ({"last_epoch": 3, "base_lrs": [0.1], "warmup": 7}, "of no scheduler of torch's: its keys are 'warmup'"),
        ({"last_batch_iteration": 3}, r"of a DeepSpeed scheduler, .*: import ds_config\.json"),
    ],
)
def test_a_state_without_a_schedule_is_refused(state: dict[str, Any], message: str) -> None:
    """What no state can tell, or what several classes could mean, is refused with what to do instead."""
    with pytest.raises(StateError, match=message):
        from_torch_state(state)


def test_the_class_can_be_given() -> None:
    """With the class's name further keys are no obstacle; one whose keys are missing is refused."""
    state = state_of(torch_schedulers.ExponentialLR(AdamW(sgd().param_groups[0]["params"], lr=0.1), 0.9), mine=1)
    found = from_torch_state(state, class_name="ExponentialLR")
    assert (found.name, found.unproven[0][-34:]) == ("ExponentialLR", "class, and ExponentialLR is what you say"[-34:])
    assert found.unproven[1] == "not proven for 'mine': no ExponentialLR has such keys, and they were not read"
    with pytest.raises(StateError, match=r"the state of a StepLR has step_size; this one has 'gamma, mine'"):
        from_torch_state(state, class_name="StepLR")
    with pytest.raises(StateError, match=r"class_name must be one of StepLR, .*, got 'Mine'"):
        from_torch_state(state, class_name="Mine")


def test_rates_that_were_changed_from_outside_are_told() -> None:
    """A state whose rates another hand has written is no longer that of its schedule."""
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch_schedulers.ExponentialLR(optimizer, 0.9)
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.step()
    scheduler.step()
    with pytest.raises(StateError, match="its rates were changed from outside, or its class is another one"):
        from_torch_state(scheduler.state_dict())
