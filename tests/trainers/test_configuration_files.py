"""Schedules and specs from the configuration files of OmegaConf, Hydra and jsonargparse, with the real packages."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hydra.utils import instantiate
from jsonargparse import ArgumentError, ArgumentParser
from omegaconf import MissingMandatoryValue, OmegaConf
from torch.optim import SGD

from client.lr_scheduler import TableLR
from scheduler import KINDS, Schedule, ScheduleError, Spec, parse
from scheduler.compose import Constant, Sequence
from scheduler.custom import LinearWarmup, WarmupWithDecay
from tests.support.client.training import make_groups
from tests.support.schedules.edges import legal

WARMUP: dict[str, Any] = {"base_lr": 1e-3, "warmup_steps": 100}
PARTS = [LinearWarmup(**WARMUP), Constant(1e-3)]


def target(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_from_omegaconf_and_from_hydra(kind: str) -> None:
    """As data with its kind, and as a class with its parameters, it is the same schedule, nested or not."""
    random = Random(kind)
    for depth in (0, 1, 2):
        schedule = legal(kind, random, depth)
        data = OmegaConf.create(schedule.to_dict())
        assert parse(data) == schedule
        parameters = {name: value for name, value in schedule.to_dict().items() if name != "kind"}
        assert instantiate(OmegaConf.create({"_target_": target(KINDS[kind]), **parameters})) == schedule
        spec = instantiate(OmegaConf.create({"_target_": "scheduler.Spec", "schedule": data, "total_steps": 1}))
        assert spec == Spec(schedule=schedule, total_steps=1)


def test_a_spec_of_groups_and_columns_comes_from_omegaconf() -> None:
    """Lists and dicts of OmegaConf stand for lists and dicts; what they refer to is filled in."""
    config = OmegaConf.create(
        {
            "steps": 300,
            "spec": {
                "schedule": [part.to_dict() for part in PARTS],
                "columns": {"weight_decay": [{"kind": "Constant", "value": 0.1}, {"kind": "Constant", "value": 0.0}]},
                "total_steps": "${steps}",
            },
        }
    )
    expected = Spec(
        schedule=PARTS, columns={"weight_decay": [Constant(0.1), Constant(0.0)]}, total_steps=300
    )  # fmt: skip
    assert Spec(**config.spec) == Spec.model_validate(config.spec) == expected


@pytest.mark.parametrize("convert", ["partial", "object", "all"])
def test_hydra_nests_classes_where_it_converts_lists(convert: str) -> None:
    """A list of classes inside of a class is the composite of the schedules that they make."""
    parts = [{"_target_": target(type(part)), **_parameters(part)} for part in PARTS]
    config = {"_target_": target(Sequence), "_convert_": convert, "schedules": parts, "lengths": [100]}
    assert instantiate(OmegaConf.create(config)) == Sequence(PARTS, [100])


def _parameters(schedule: Schedule) -> dict[str, Any]:
    return {name: value for name, value in schedule.to_dict().items() if name != "kind"}


def test_hydra_makes_the_scheduler_of_an_optimizer() -> None:
    """`_partial_` leaves the optimizer open; the schedule is all that the file says."""
    table = {"_target_": target(WarmupWithDecay), "base_lr": "5e-4", "warmup_steps": 10, "total_steps": 100}
    text = json.dumps({"_target_": target(TableLR), "_partial_": True, "table": table}).replace('"5e-4"', "5e-4")
    scheduler = instantiate(OmegaConf.create(text))(SGD(make_groups(1), lr=1.0))
    assert scheduler.table == WarmupWithDecay(5e-4, 10, 100).table(100)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"base_lr": 0.1}, "schedule has no kind, such as custom.WarmupWithDecay"),
        (
            {"kind": "custom.LinearWarmup", "base_lr": "1e-3", "warmup_steps": 1},
            r"schedule\.base_lr must be a",
        ),
        ([{"kind": "custom.LinearWarmup", "warmup_steps": 1}], r"schedule\[0\]\.base_lr is missing"),
        ([], "schedule must have at least 1 item"),
        ([3], r"schedule\[0\] must be a schedule, got 3"),
    ],
    ids=["no-kind", "text", "missing", "empty", "a-number"],
)
def test_what_is_wrong_in_a_file_is_named(data: Any, message: str) -> None:
    """An error names the field in the file, and none of OmegaConf's containers."""
    with pytest.raises(ScheduleError, match=message) as caught:
        Spec(schedule=OmegaConf.create(data), total_steps=1)
    assert "Config" not in str(caught.value)


def test_a_value_that_is_left_open_is_omegaconfs_error() -> None:
    """`???` stands for a value that is to be given: OmegaConf says which it is."""
    with pytest.raises(MissingMandatoryValue, match="base_lr"):
        parse(OmegaConf.create({"kind": "custom.LinearWarmup", "base_lr": "???", "warmup_steps": 1}))


# -- jsonargparse -----------------------------------------------------------------------------------------------------


def parsed(kind: type, data: Any, folder: Path) -> Any:
    """What a parser with one argument of this type makes of a file."""
    file = folder / "arguments.yaml"
    file.write_text(json.dumps({"given": data}), encoding="utf-8")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--given", type=kind)
    return parser.instantiate(parser.parse_args([f"--config={file}"])).given


def class_path(schedule: Schedule) -> dict[str, Any]:
    return {"class_path": target(type(schedule)), "init_args": _parameters(schedule)}


@pytest.mark.parametrize("kind", ["custom.WarmupWithDecay", "torch.OneCycleLR", "transformers.cosine", "Ramp"])
def test_jsonargparse_makes_any_kind(kind: str, tmp_path: Path) -> None:
    """An argument of type Schedule takes a class and its parameters."""
    schedule = legal(kind, Random(kind))
    assert parsed(Schedule, class_path(schedule), tmp_path) == schedule


def test_jsonargparse_nests_classes(tmp_path: Path) -> None:
    """A composite's parts are classes with their parameters, too; a spec's schedules are data with a kind."""
    data = {"class_path": target(Sequence), "init_args": {"schedules": [*map(class_path, PARTS)], "lengths": [100]}}
    assert parsed(Schedule, data, tmp_path) == Sequence(PARTS, [100])
    spec = Spec(schedule=Sequence(PARTS, [100]), total_steps=300)
    assert parsed(Spec, spec.model_dump(mode="json"), tmp_path) == spec


def test_jsonargparse_names_what_is_wrong(tmp_path: Path) -> None:
    """The error of a wrong value has its name."""
    with pytest.raises(ArgumentError, match="base_lr"):
        parsed(Schedule, {"class_path": target(LinearWarmup), "init_args": WARMUP | {"base_lr": "fast"}}, tmp_path)
