"""Layer-wise decay, on a real model with a real optimizer."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import nn

from client.layers import layer_decay
from client.lr_scheduler import TableLR
from scheduler import Spec
from scheduler.builtin import OneCycleLR
from scheduler.compose import Ramp
from scheduler.custom import WarmupWithDecay

BLOCKS, STEPS, DECAY = 3, 50, 0.65
LAST = BLOCKS + 1
SCHEDULE = WarmupWithDecay(5e-4, 5, STEPS)


class Model(nn.Module):
    """An embedding, blocks and a head: layers 0, 1 to BLOCKS and LAST."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Linear(4, 4)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)) for _ in range(BLOCKS))
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.embedding(x)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        logits: torch.Tensor = self.head(hidden)
        return logits


def layer_of(name: str) -> int:
    block = re.match(r"blocks\.(\d+)", name)
    return int(block[1]) + 1 if block else LAST if name.startswith("head") else 0


def test_each_layer_trains_with_its_share_of_the_rate() -> None:
    """At each update the rate of layer l is decay^(last - l) times the schedule's, bit for bit."""
    model = Model()
    groups, schedules = layer_decay(model.named_parameters(), layer_of, layers=LAST, schedule=SCHEDULE, decay=DECAY)
    optimizer = torch.optim.AdamW(groups)
    scheduler = TableLR(optimizer, Spec(schedule=schedules, total_steps=STEPS).table())
    scales = [DECAY ** (LAST - layer) for layer in range(LAST + 1)]
    assert scales[-1] == 1.0
    for base in SCHEDULE.values(STEPS).tolist():
        assert [group["lr"] for group in optimizer.param_groups] == [scale * base for scale in scales]
        model(torch.ones(1, 4)).sum().backward()
        optimizer.step()
        scheduler.step()


def test_each_parameter_is_in_the_group_of_its_layer() -> None:
    """The groups hold every parameter once, in the group that bears its layer's number."""
    model = Model()
    groups, _ = layer_decay(model.named_parameters(), layer_of, layers=LAST, schedule=SCHEDULE, decay=DECAY)
    names = {parameter: name for name, parameter in model.named_parameters()}
    members = {group["name"]: [names[parameter] for parameter in group["params"]] for group in groups}
    assert list(members) == [f"layer {layer}" for layer in range(LAST + 1)]
    assert all(f"layer {layer_of(name)}" == group for group, own in members.items() for name in own)
    assert sorted(name for own in members.values() for name in own) == sorted(names.values())


def test_a_layer_without_parameters_has_no_group() -> None:
    """Frozen layers left out of the parameters leave the others' rates as they are."""
    upper = [(name, parameter) for name, parameter in Model().named_parameters() if layer_of(name) >= BLOCKS]
    groups, schedules = layer_decay(upper, layer_of, layers=LAST, schedule=SCHEDULE, decay=DECAY)
    assert [group["name"] for group in groups] == [f"layer {BLOCKS}", f"layer {LAST}"]
    assert [each.factor for each in schedules] == [DECAY, 1.0]


def test_two_calls_join_where_some_parameters_have_no_weight_decay() -> None:
    """Joined, two calls give one optimizer in which a layer's rate is the same with and without weight decay."""
    named = list(Model().named_parameters())
    parts = [[pair for pair in named if (pair[1].ndim > 1) == decayed] for decayed in (True, False)]
    (decayed, first), (plain, second) = (
        layer_decay(part, layer_of, layers=LAST, schedule=SCHEDULE, decay=DECAY) for part in parts
    )
    optimizer = torch.optim.AdamW([*decayed, *({**group, "weight_decay": 0.0} for group in plain)], weight_decay=0.05)
    TableLR(optimizer, Spec(schedule=[*first, *second], total_steps=STEPS).table(), start=20)
    rows = {(group["name"], group["weight_decay"]): group["lr"] for group in optimizer.param_groups}
    assert len(rows) == 2 * (LAST + 1)
    assert all(rows[name, 0.0] == rows[name, 0.05] for name, _ in rows)


def test_the_rates_go_beside_other_columns() -> None:
    """A weight decay of its own goes to every group, beside the rates of the layers."""
    ramp = Ramp(0.04, 0.4, STEPS, "cosine")
    groups, schedules = layer_decay(Model().named_parameters(), layer_of, layers=LAST, schedule=SCHEDULE, decay=DECAY)
    optimizer = torch.optim.AdamW(groups)
    table = Spec(schedule=schedules, columns={"weight_decay": ramp}, total_steps=STEPS).table()
    TableLR(optimizer, table, start=20)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [ramp.get_lr(20)] * (LAST + 1)
    assert np.unique([group["lr"] for group in optimizer.param_groups]).size == LAST + 1


@pytest.mark.parametrize("decay", [0.0, -0.5, 1.01, float("nan")])
def test_a_decay_out_of_range_is_refused(decay: float) -> None:
    """A decay that is no share of a rate is refused with its value."""
    with pytest.raises(ValueError, match=f"decay must be > 0 and <= 1, got {decay}"):
        layer_decay(Model().named_parameters(), layer_of, layers=LAST, schedule=SCHEDULE, decay=decay)


@pytest.mark.parametrize("layer", [-1, LAST + 1, 1.5])
def test_a_layer_out_of_range_is_refused(layer: int) -> None:
    """A layer that the model has not is refused, with the parameter that was given it."""
    with pytest.raises(ValueError, match=f"a layer from 0 to 4, got {layer} for 'embedding.weight'"):
        layer_decay(Model().named_parameters(), lambda _: layer, layers=LAST, schedule=SCHEDULE, decay=DECAY)


def test_no_parameters_are_refused() -> None:
    """An empty model has no groups to make."""
    with pytest.raises(ValueError, match="named_parameters must have at least one parameter, got none"):
        layer_decay([], layer_of, layers=LAST, schedule=SCHEDULE, decay=DECAY)


def test_momentum_is_the_same_in_every_layer() -> None:
    """A layer's share is one of the rate alone: a schedule that also drives beta1 drives it equally in all layers."""
    schedule = OneCycleLR(5e-4, total_steps=STEPS, momentum_column="beta1")
    groups, schedules = layer_decay(Model().named_parameters(), layer_of, layers=LAST, schedule=schedule, decay=DECAY)
    optimizer = torch.optim.AdamW(groups)
    scheduler = TableLR(optimizer, Spec(schedule=schedules, total_steps=STEPS).table())
    for row in range(20):
        expected = {name: values[row] for name, values in schedule.columns(STEPS).items()}
        for layer, group in enumerate(optimizer.param_groups):
            assert group["betas"] == (expected["beta1"], 0.999)
            assert group["lr"] == DECAY ** (LAST - layer) * expected["lr"]
        optimizer.step()
        scheduler.step()


def test_another_optimizer_is_an_error_that_names_the_layers() -> None:
    """An optimizer without the groups is refused, and so is one with others: both sides are listed."""
    groups, schedules = layer_decay(Model().named_parameters(), layer_of, layers=LAST, schedule=SCHEDULE, decay=DECAY)
    table = Spec(schedule=schedules, total_steps=STEPS).table()
    with pytest.raises(ValueError, match=r"5 parameter groups \(lr\.0, .*, lr\.4\), the optimizer has 1 \(0: 16 param"):
        TableLR(torch.optim.AdamW(Model().parameters()), table)
    with pytest.raises(ValueError, match=r"the optimizer has 4 \(layer 1: 4 parameters, .*layer 4: 2 parameters\)"):
        TableLR(torch.optim.AdamW(groups[1:]), table)
