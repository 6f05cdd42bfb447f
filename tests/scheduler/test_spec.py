"""Specs: identity, lengths, groups."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scheduler import Spec
from scheduler.custom import LinearWarmup, OneCycleLR, WarmupWithDecay
from tests.support.schedules.made_for import MADE_FOR, N

WARMUP = {"kind": "custom.LinearWarmup", "base_lr": 0.1, "warmup_steps": 5}


def read(**data: Any) -> Spec:
    """A spec as a server reads it."""
    return Spec.model_validate_json(json.dumps(data))


def test_the_spec_id_is_pinned() -> None:
    """The spec id of one spec, once and for all: changing how it is made is a decision, not an accident."""
    spec = Spec(schedule=WarmupWithDecay(5e-4, 10_000, 100_000, min_lr=1e-6), total_steps=100_000)
    assert spec.canonical() == (
        '{"after":"hold","axis":"step","columns":{},"schedule":{"base_lr":0.0005,"kind":"custom.WarmupWithDecay","min_lr":0.000001,'
        '"total_steps":100000,"warmup_steps":10000},"stride":1,"total_steps":100000}'
    )
    assert spec.id == "24632211d66e7bc2569ab54c5c45c96d3c0fe207e330b1d4485f7dd7469ed0d7"


def test_the_revision_is_part_of_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """A corrected formula gets another spec id, so that an old store never answers for it."""
    before = read(schedule=WARMUP, total_steps=10).id
    monkeypatch.setattr(LinearWarmup, "revision", 2)
    assert read(schedule=WARMUP, total_steps=10).id != before


@pytest.mark.parametrize("change", [{"total_steps": 9}, {"axis": "sample"}, {"stride": 2}, {"after": "error"}], ids=str)
def test_everything_that_decides_a_rate_is_part_of_the_identity(change: dict[str, Any]) -> None:
    """Length, axis, stride and what happens past the end each give another spec id."""
    base = {"schedule": WARMUP, "total_steps": 10}
    assert read(**base).id != read(**{**base, **change}).id


def test_groups_have_a_column_each() -> None:
    """A list of schedules is one per parameter group, named by number."""
    spec = read(schedule=[WARMUP, {**WARMUP, "base_lr": 0.2}], total_steps=10)
    assert list(spec.plan()) == ["lr.0", "lr.1"]
    assert spec == Spec(schedule=[LinearWarmup(0.1, 5), LinearWarmup(0.2, 5)], total_steps=10)


@pytest.mark.parametrize("schedule", [OneCycleLR(0.1, 1000), WarmupWithDecay(0.1, 10, 1000)], ids=str)
def test_a_table_longer_than_its_schedule_is_refused(schedule: OneCycleLR | WarmupWithDecay) -> None:
    """Pitfall 2: step counts that contradict each other are an error before training; shorter is legal."""
    with pytest.raises(ValueError, match=r"total_steps must be <= 1000, where this custom\.\w+ ends, got 1001"):
        Spec(schedule=schedule, total_steps=1001)
    assert Spec(schedule=schedule, total_steps=200).total_steps == 200


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param({"schedule": WARMUP}, "total_steps", id="no-length"),
        pytest.param({"schedule": WARMUP, "total_steps": 0}, "total_steps", id="no-steps"),
        pytest.param({"schedule": WARMUP, "total_steps": True}, "total_steps", id="bool"),
        pytest.param({"schedule": WARMUP, "total_steps": "10"}, "total_steps", id="text"),
        pytest.param({"schedule": WARMUP, "total_steps": 10**12}, "total_steps", id="huge"),
        pytest.param({"schedule": [], "total_steps": 10}, "schedule", id="no-groups"),
        pytest.param({"schedule": {"kind": "custom.Warmup"}, "total_steps": 10}, "custom.Warmup", id="unknown-kind"),
        pytest.param({"schedule": WARMUP, "total_steps": 10, "axis": "day"}, "axis", id="axis"),
        pytest.param({"schedule": WARMUP, "total_steps": 10, "stride": 0}, "stride", id="stride"),
        pytest.param({"schedule": WARMUP, "total_steps": 10, "total_step": 10}, "total_step", id="unknown-field"),
    ],
)
def test_a_bad_spec_is_refused_by_field(data: dict[str, Any], message: str) -> None:
    """A field that is missing, out of range, of the wrong type or unknown is named."""
    with pytest.raises(ValueError, match=message):
        read(**data)


def test_the_length_that_a_schedule_states_need_not_be_given() -> None:
    """Without total_steps a spec has the length that its schedule states, and is the spec with that length."""
    for schedule in MADE_FOR:
        data = json.loads(json.dumps({"schedule": schedule.to_dict()}))
        assert read(**data).id == Spec(schedule=schedule).id == Spec(schedule=schedule, total_steps=N).id
        assert schedule.end in (None, N)


def test_a_stated_length_that_no_table_can_have_is_named() -> None:
    """A schedule that is made for more steps than a table may have needs a length that is given."""
    cycle = {"kind": "Cycle", "schedule": RAMP, "length": 10**9, "count": 100}
    with pytest.raises(
        ValueError, match=r"^Spec: total_steps must be less than or equal to 10000000000, got 100000000000$"
    ):
        read(schedule=cycle)
    assert read(schedule=cycle, total_steps=5).total_steps == 5


def test_the_length_of_other_columns_counts_too() -> None:
    """A column beside a rate that states no length gives the table its own."""
    assert read(schedule=WARMUP, columns={"weight_decay": RAMP}).total_steps == RAMP["length"]


def test_the_same_warning_is_given_once() -> None:
    """The same warning of several groups is given once."""
    assert len(read(schedule=[WARMUP, WARMUP], total_steps=5).warnings()) == 1


RAMP = {"kind": "Ramp", "start": 0.04, "stop": 0.4, "length": 10, "shape": "cosine"}


def test_other_columns_stand_beside_the_rate() -> None:
    """Schedules of weight decay or momentum are columns of the same table, one for all groups or one each."""
    spec = read(schedule=[WARMUP, WARMUP], columns={"weight_decay": RAMP, "beta1": [RAMP, RAMP]}, total_steps=5)
    assert sorted(spec.plan()) == ["beta1.0", "beta1.1", "lr.0", "lr.1", "weight_decay"]
    row = spec.table().row(4, group=1)
    assert list(row) == ["beta1", "lr", "weight_decay"]
    assert row["lr"] == 0.1
    assert row["beta1"] == row["weight_decay"] == spec.table().columns["weight_decay"][4]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param({"columns": {"lr": RAMP}}, "must not name 'lr'", id="lr-twice"),
        pytest.param({"columns": {"Lr!": RAMP}}, "Lr!", id="bad-name"),
        pytest.param({"columns": {"beta1": [RAMP]}, "schedule": [WARMUP] * 2}, "must agree, got", id="counts"),
        pytest.param(
            {"columns": {"beta1": {"kind": "torch.OneCycleLR", "max_lr": 0.1, "total_steps": 10}}},
            "column 'beta1' must drive one value, got torch.OneCycleLR",
            id="two-values",
        ),
        pytest.param({"columns": {"beta1": {"kind": "Constant", "value": "previous"}}}, "nothing goes", id="previous"),
    ],
)
def test_columns_that_contradict_are_refused(data: dict[str, Any], message: str) -> None:
    """A column driven twice, group counts that differ and schedules of two values are named."""
    with pytest.raises(ValueError, match=message):
        read(**{"schedule": WARMUP, "total_steps": 5, **data})
