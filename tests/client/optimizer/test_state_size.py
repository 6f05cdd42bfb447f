"""The size of a saved TableLR: values that groups share are saved once.

A file of torch's that holds nothing takes some 1,260 bytes, and each number that no other group has at least 8: a file
with two numbers of their own for 64 groups cannot be below 2,000. What the state adds to a checkpoint can.
"""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch.optim import SGD

from client.lr_scheduler import TableLR
from scheduler import Table
from tests.support.client.training import make_groups, values_of

RATES = [0.1 / (row + 1) for row in range(10)]
SHARED = Table({"lr": RATES, "momentum": RATES, "weight_decay": RATES})
BY_GROUP = {count: Table({f"lr.{i}": [r / (i + 1) for r in RATES] for i in range(count)}) for count in (8, 64)}


def size_of(state: Any) -> int:
    """Bytes of a state in a file of torch's, from which it is loaded safely."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    assert torch.load(file, weights_only=True) == state
    return len(file.getvalue())


def grouped(count: int, table: Table, *, relative: bool) -> TableLR:
    """A scheduler of groups that have nothing in common."""
    own = [{"lr": 0.1 / (i + 1), "weight_decay": 0.01 * i, "momentum": 0.9} for i in range(count)]
    optimizer = SGD([{**group, **values} for group, values in zip(make_groups(count), own, strict=True)])
    scheduler = TableLR(optimizer, table, relative=relative)
    scheduler.set_progress(3)
    scheduler.run, scheduler.version = "a-team-of-many/a-run-with-a-long-name-42", 12
    return scheduler


@pytest.mark.parametrize(
    ("count", "table", "relative", "most"),
    [
        *((count, SHARED, False, 450) for count in (1, 8, 64)),
        *((8, table, True, 650) for table in (SHARED, BY_GROUP[8])),
        *((64, table, True, 450 + 2 * 9 * 64) for table in (SHARED, BY_GROUP[64])),
        *((count, BY_GROUP[count], False, 450 + 9 * count) for count in (8, 64)),
    ],
)
def test_a_state_is_small(count: int, table: Table, relative: bool, most: int) -> None:
    """Beside what torch writes into an empty file, a state takes some hundred bytes, and 9 for each own value."""
    empty, size = size_of({}), size_of(grouped(count, table, relative=relative).state_dict())
    print(f"{count} groups, {len(table.columns)} columns, relative={relative}: {size} bytes, {empty} for an empty file")
    assert size - empty <= most
    assert size < 2000 or (count > 8 and size - empty < 2000)


def layered(layers: int) -> TableLR:
    """A scheduler of four groups a layer: each layer has its rate, and every other group no weight decay."""
    groups = make_groups(4 * layers, momentum=0.9)
    for index, group in enumerate(groups):
        group |= {"lr": 0.001 * 0.9 ** (index // 4), "weight_decay": 0.05 * (index % 2)}
    return TableLR(SGD(groups), SHARED, relative=True)


@pytest.mark.parametrize("layers", [12, 48])
def test_groups_of_layers_share_what_is_saved(layers: int) -> None:
    """A state is below 2 kB for 192 groups, too, where groups share values as those of a layer do."""
    scheduler, other = layered(layers), layered(layers)
    own = values_of(other.optimizer, "initial_lr")
    scheduler.set_progress(3)
    scheduler.optimizer.param_groups[0]["lr"] = 0.5  # so that no factor gives all rates
    state = scheduler.state_dict()
    size, empty = size_of(state), size_of({})
    print(f"{4 * layers} groups of {layers} layers: {size} bytes, {empty} for an empty file")
    assert size - empty < 2000
    for group in other.optimizer.param_groups:
        group |= {"initial_lr": 0.7, "initial_weight_decay": 0.7}
    other.load_state_dict(state)
    assert values_of(other.optimizer, "initial_lr") == own
    assert other.state_dict()["initial"] == state["initial"]


@pytest.mark.parametrize("count", [8, 64])
@pytest.mark.parametrize("relative", [False, True])
def test_packed_values_are_the_same_bits(count: int, relative: bool) -> None:
    """What is saved as one number, or as a factor, is put back bit for bit, for the groups of another optimizer too."""
    for table in (SHARED, BY_GROUP[count]):
        scheduler, other = (grouped(count, table, relative=relative) for _ in range(2))
        other.set_progress(7)
        other.load_state_dict(scheduler.state_dict())
        for name in scheduler.table.columns:
            column = name.partition(".")[0]
            assert [group[column] for group in other.optimizer.param_groups] == [
                group[column] for group in scheduler.optimizer.param_groups
            ]
