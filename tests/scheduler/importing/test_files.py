"""Files that a training already has give specs, each told by its content; every other file is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, StepLR

from scheduler import Spec, builtin, import_file
from scheduler.importing.options import Options
from scheduler.libraries import deepspeed, transformers
from tests.support.schedules.torch_setups import SETUPS, advanced, sgd

ARGUMENTS = {"learning_rate": 3e-4, "lr_scheduler_type": "cosine", "warmup_steps": 0.1, "output_dir": "out"}
BLOCK = {"type": "WarmupLR", "params": {"warmup_num_steps": 5}}
AUTOMATIC = {"type": "WarmupDecayLR", "params": {"total_num_steps": 90, "warmup_num_steps": "auto"}}
AXOLOTL = """
learning_rate: 2e-5
lr_scheduler: cosine
lr_scheduler_kwargs: {num_cycles: 1.5}
warmup_ratio: 0.03
num_epochs: 2
micro_batch_size: 4
gradient_accumulation_steps: 8
"""
LIGHTNING = """
trainer: {max_epochs: 90}
optimizer: {class_path: torch.optim.SGD, init_args: {lr: 1e-1}}
lr_scheduler: {class_path: torch.optim.lr_scheduler.StepLR, init_args: {step_size: 30}}
"""


def written(folder: Path, content: Any, name: str = "file.json") -> Path:
    """A file with this JSON, or with this text."""
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


CASES: dict[str, tuple[str, Any, Options, Spec]] = {
    "max_steps": (
        "a.json",
        {**ARGUMENTS, "max_steps": 1000},
        Options(),
        Spec(schedule=transformers.Cosine(3e-4, 100, 1000), total_steps=1000),
    ),
    "epochs": (
        "a.json",
        ARGUMENTS,
        Options(dataset_length=800, world_size=2),
        Spec(schedule=transformers.Cosine(3e-4, 15, 150), total_steps=150),
    ),
    "steps": ("a.json", ARGUMENTS, Options(90), Spec(schedule=transformers.Cosine(3e-4, 9, 90), total_steps=90)),
    "axolotl": (
        "a.yml",
        AXOLOTL,
        Options(dataset_length=5000),
        Spec(schedule=transformers.Cosine(2e-5, 10, 314, 1.5), total_steps=314),
    ),
    "deepspeed": (
        "ds_config.json",
        {"scheduler": BLOCK, "zero_optimization": {}},
        Options(50, learning_rate=0.1),
        Spec(schedule=deepspeed.WarmupLR(0.1, warmup_num_steps=5), total_steps=50),
    ),
    "block": (
        "a.json",
        {"type": "WarmupDecayLR", "params": {"total_num_steps": 90}},
        Options(),
        Spec(schedule=deepspeed.WarmupDecayLR(90), total_steps=90),
    ),
    "auto": (
        "a.json",
        {"scheduler": AUTOMATIC},
        Options(warmup_steps=9),
        Spec(schedule=deepspeed.WarmupDecayLR(90, warmup_num_steps=9), total_steps=90),
    ),
    "constant": (
        "a.json",
        {"learning_rate": 3e-4, "lr_scheduler_type": "constant"},
        Options(dataset_length=800, world_size=2),
        Spec(schedule=transformers.Constant(3e-4), total_steps=150),
    ),
    "lightning": ("a.yaml", LIGHTNING, Options(), Spec(schedule=builtin.StepLR(0.1, 30), total_steps=90, axis="epoch")),
}


@pytest.mark.parametrize("case", CASES)
def test_a_file_gives_its_spec(case: str, tmp_path: Path) -> None:
    """What the file is, its content says; what it leaves open is given beside it."""
    name, content, options, spec = CASES[case]
    found = import_file(written(tmp_path, content, name), options)
    assert found.spec == spec
    assert found.position is None


@pytest.mark.parametrize("place", ["", "scheduler", "trainer.lr_scheduler"])
@pytest.mark.parametrize("name", ["sequential", "groups", "one-cycle-betas"])
def test_a_checkpoint_gives_the_spec_of_its_scheduler(name: str, place: str, tmp_path: Path) -> None:
    """A scheduler's state is found wherever it is, with the position that it was saved at."""
    scheduler = advanced(SETUPS[name](), 7)
    content: Any = scheduler.state_dict()
    for key in reversed(place.split(".") if place else []):
        content = {key: content, "optimizer": scheduler.optimizer.state_dict(), "model": {"w": torch.zeros(3)}}
    path = tmp_path / "last.pt"
    torch.save(content, path)
    if not place and name == "one-cycle-betas":
        with pytest.raises(
            ValueError, match=r"OneCycleLR keeps its rates .* groups: save optimizer\.state_dict\(\) in"
        ):
            import_file(path)
        return
    found = import_file(path, Options(40))
    assert found.position == 7
    assert [schedule.get_lr(7) for schedule in found.spec.schedules] == scheduler.get_last_lr()


def test_one_of_several_schedulers_is_chosen(tmp_path: Path) -> None:
    """A checkpoint of several schedulers needs the place of the one that is meant."""
    states = [StepLR(sgd(), 30).state_dict(), CosineAnnealingLR(sgd(), 30).state_dict()]
    torch.save({"lr_schedulers": states}, tmp_path / "gan.ckpt")
    with pytest.raises(ValueError, match=r"choose with --state lr_schedulers\.0 or lr_schedulers\.1"):
        import_file(tmp_path / "gan.ckpt")
    with pytest.raises(ValueError, match=r"--state must be one of lr_schedulers\.0, lr_schedulers\.1, got '7'"):
        import_file(tmp_path / "gan.ckpt", Options(state="7"))
    found = import_file(tmp_path / "gan.ckpt", Options(30, state="lr_schedulers.1", axis="epoch"))
    assert found.spec.schedule == builtin.CosineAnnealingLR(0.1, 30)


def test_objects_in_a_pickle_are_not_loaded(tmp_path: Path) -> None:
    """A file such as Trainer's training_args.bin, whose loading would run code, is refused with what to give."""
    for content in (Options(), {"arguments": Options()}):
        torch.save(content, tmp_path / "training_args.bin")
        with pytest.raises(ValueError, match=r"could run any code .*write\(args\.to_json_string\(\)\)"):
            import_file(tmp_path / "training_args.bin")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", r"is no JSON: .*YAML is read where the name ends in \.yaml"),
        ("a.yaml", "a: [", "is no YAML: while parsing"),
        ("a.json", [1], "holds no object with names, only a list"),
        (
            "trainer_state.json",
            {"log_history": [], "max_steps": 9},
            "trainer_state.json, which has the rates that were",
        ),
        ("a.json", {"schedule": {}, "total_steps": 9}, "is a spec already: 'lrtables show"),
        ("a.json", {"x": 1}, r"is none of: training arguments \(.*It has x"),
        ("a.json", {}, r"is none of: .*It is empty$"),
        ("a.json", {"train_batch_size": 8, "fp16": {}}, "is a DeepSpeed configuration and has no scheduler block"),
        ("a.yaml", LIGHTNING.partition("lr_scheduler:")[0], "is LightningCLI's configuration and has no lr_scheduler"),
        (
            "a.json",
            ARGUMENTS,
            r"^--steps \(total_steps\) or --examples \(dataset_length\) must be given where max_steps",
        ),
        (
            "a.json",
            {**ARGUMENTS, "max_steps": 0},
            "^max_steps must be at least 1, or negative where epochs count, got 0",
        ),
        ("a.json", {"scheduler": BLOCK}, r"^--lr \(learning_rate\) must be given for scheduler\.params\.warmup_max_lr"),
        ("a.json", {"scheduler": AUTOMATIC}, r"Trainer fills: --warmup-steps \(warmup_steps\) must be given$"),
        ("a.json", {"type": "LRRangeTest", "params": {}}, r"--steps \(total_steps\) must be given"),
        (
            "a.yaml",
            LIGHTNING.replace("torch.optim.lr_scheduler", "mine"),
            r"must be a class of torch.*got 'mine\.StepLR'",
        ),
        ("a.yaml", LIGHTNING.replace("step_size", "size"), r"lr_scheduler\.init_args of StepLR must be among"),
        (
            "a.yaml",
            LIGHTNING.replace("lr: 1e-1", "x: 1"),
            r"^--lr \(learning_rate\) must be given for StepLR: optimizer\.init_args",
        ),
    ],
)
def test_other_files_are_refused(name: str, content: Any, message: str, tmp_path: Path) -> None:
    """A file that decides no schedule is refused in a line that says what was tried and what to give."""
    with pytest.raises(ValueError, match=message):
        import_file(written(tmp_path, content, name))


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (
            {**ARGUMENTS, "max_steps": 9},
            Options(learning_rate=1.0),
            r"--lr \(learning_rate\) must not be given with tr",
        ),
        ({"scheduler": AUTOMATIC}, Options(learning_rate=1.0, warmup_steps=9), r"--lr \(learning_rate\) must not be g"),
        (
            {"type": "WarmupDecayLR", "params": {"total_num_steps": 9}},
            Options(warmup_steps=9),
            "--warmup-steps .* got 9",
        ),
        ({"scheduler": BLOCK}, Options(dataset_length=9), r"--examples \(dataset_length\) must not .* got 9"),
        (LIGHTNING, Options(learning_rate=1.0), r"--lr \(learning_rate\) must (not be given|equal)"),
    ],
)
def test_an_option_that_says_nothing_is_refused(content: Any, options: Options, message: str, tmp_path: Path) -> None:
    """No option is ignored in silence: where the file decides its value, or it is of other files, it is refused."""
    with pytest.raises(ValueError, match=message):
        import_file(written(tmp_path, content, "a.yaml"), options)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are neither text nor a checkpoint are no file to import, and neither is a torn checkpoint."""
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(ValueError, match=r"is no file to import: no JSON, no YAML, no checkpoint .*, no bundle"):
        import_file(tmp_path / "a.json")
    (tmp_path / "a.pt").write_bytes(b"\x80\x02}q")
    with pytest.raises(ValueError, match=r"a\.pt is no checkpoint that torch reads"):
        import_file(tmp_path / "a.pt")
    torch.save({"model": {}}, tmp_path / "b.pt")
    with pytest.raises(ValueError, match=r"b\.pt has no scheduler's state in it"):
        import_file(tmp_path / "b.pt")
    torch.save(LambdaLR(sgd(), lambda step: 1.0).state_dict(), tmp_path / "scheduler.pt")
    with pytest.raises(ValueError, match="One that transformers' Trainer made is in the JSON of its arguments"):
        import_file(tmp_path / "scheduler.pt")


def test_yaml_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyYAML a YAML file is refused with what to install."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ValueError, match="needs PyYAML to be read: pip install pyyaml"):
        import_file(written(tmp_path, AXOLOTL, "a.yaml"))
