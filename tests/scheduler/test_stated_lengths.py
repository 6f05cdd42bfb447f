"""The length that a twin states is the one after which the library's own scheduler is at its documented end."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers.optimization import get_scheduler

from scheduler import Schedule
from scheduler.builtin.twin import Twin
from scheduler.fields import Values
from tests.support.schedules.made_for import MADE_FOR, N
from tests.support.schedules.stepping import step_real

ENDS: dict[str, float] = {
    "torch.CosineAnnealingLR": 0.0,  # eta_min
    "torch.PolynomialLR": 0.0,
    "torch.LinearLR": 0.0,  # base_lr * end_factor
    "torch.SWALR": 0.05,  # swa_lr
    "torch.SequentialLR": 0.0,  # of its last scheduler
    "torch.ChainedScheduler": 0.0,
    "torch.OneCycleLR": 0.1 / 25 / 1e4,  # max_lr / div_factor / final_div_factor
    "transformers.linear": 0.0,
    "transformers.cosine": 0.0,
    "transformers.cosine_with_restarts": 0.0,
    "transformers.polynomial": 1e-7,  # lr_end
    "transformers.cosine_with_min_lr": 1e-5,
    "transformers.cosine_warmup_with_min_lr": 1e-5,
    "transformers.warmup_stable_decay": 0.0,
}
"""The rate at the end of each twin of `MADE_FOR`, as its library documents it."""

EARLY = {"torch.OneCycleLR", "transformers.cosine_warmup_with_min_lr"}
"""These count the first rate among their steps: the last step has the end, and one more is refused or rises."""


def stepped(twin: Schedule, steps: int) -> Values:
    """The rates of the library's own scheduler with a twin's parameters, before each of its steps."""
    if isinstance(twin, Twin):
        return step_real(twin, steps)["lr"]
    given = {name: value for name, value in twin.to_dict().items() if value is not None}
    name, rate = given.pop("kind").removeprefix("transformers."), given.pop("base_lr")
    counts = {count: given.pop(count, None) for count in ("num_warmup_steps", "num_training_steps")}
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler = get_scheduler(name, optimizer, **counts, scheduler_specific_kwargs=given)
    optimizer.step()  # the order that torch asks for
    rates = np.empty(steps)
    for step in range(steps):
        rates[step] = optimizer.param_groups[0]["lr"]
        scheduler.step()
    return rates


def test_every_twin_that_states_a_length_is_here() -> None:
    """No twin of torch's or transformers' is left out."""
    assert ENDS.keys() == {each.kind for each in MADE_FOR if each.kind.startswith(("torch.", "transformers."))}


@pytest.mark.parametrize("twin", [each for each in MADE_FOR if each.kind in ENDS], ids=lambda twin: twin.kind)
def test_the_real_scheduler_is_at_its_end_after_the_stated_steps(twin: Schedule) -> None:
    """Stepped as often as the twin states, it is at its documented end, and not one step before."""
    assert twin.stated_steps == N
    last = N - (twin.kind in EARLY)
    rates = stepped(twin, last + 1)
    assert rates[last] == pytest.approx(ENDS[twin.kind], rel=1e-9, abs=1e-12)
    assert rates[last - 1] != pytest.approx(ENDS[twin.kind], rel=1e-6, abs=1e-12)
