"""`lrtables import` prints the spec of a file, its digest, and the proof."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, CyclicLR

from client.lr_scheduler import TableLR
from lrtables.__main__ import main
from scheduler import Spec, Table, builtin
from scheduler.libraries.transformers import Linear
from tests.support.schedules.torch_setups import advanced, sgd

SPEC = Spec(schedule=Linear(5e-5, 10, 100), total_steps=100)


@pytest.fixture
def arguments(tmp_path: Path) -> Path:
    """A file of training arguments."""
    path = tmp_path / "training_args.json"
    path.write_text(json.dumps({"warmup_steps": 10, "max_steps": 100}))
    return path


def test_the_spec_is_printed_and_proven(arguments: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The spec is the first line, followed by digest, length, source and proof."""
    assert main(["import", str(arguments)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        SPEC.canonical(),
        f"digest {Table.compute(SPEC).digest}",
        "100 steps (max_steps)",
        "training arguments: lr_scheduler_type 'linear'",
    ]
    assert lines[4].startswith("equals the real linear of transformers")
    assert lines[4].endswith("on 100 of 100 steps, bit for bit")


def test_the_spec_is_written_for_show(arguments: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file that is written is one that `lrtables show` takes, and is read back as the spec."""
    assert main(["import", str(arguments), "-o", str(tmp_path / "spec.json")]) == 0
    assert Spec.model_validate_json((tmp_path / "spec.json").read_text()) == SPEC
    assert main(["show", str(tmp_path / "spec.json"), "--at", "10"]) == 0
    assert "5e-05" in capsys.readouterr().out


def test_json_has_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json everything is data, the position of a checkpoint too."""
    scheduler = advanced(CosineAnnealingLR(sgd(), 30), 7)
    torch.save({"scheduler": scheduler.state_dict()}, tmp_path / "last.pt")
    assert main(["import", str(tmp_path / "last.pt"), "--steps", "30", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["position"], found["spec"]["total_steps"]) == (7, 30)
    assert found["source"] == "checkpoint: the state of a CosineAnnealingLR in scheduler"
    assert found["notes"][:2] == [
        "the file's own rates are those of the schedule at step 7, bit for bit; it holds no others",
        "not proven for a subclass with other rates: a state names no class, and CosineAnnealingLR was told by the "
        "keys",
    ]


def test_what_no_state_says_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A function leaves no trace in a state: the proof is said to be none for it."""
    scheduler = CyclicLR(sgd(), 0.01, 0.1, step_size_up=4, scale_fn=lambda cycle: 0.5 ** (cycle - 1))
    torch.save({"scheduler": scheduler.state_dict()}, tmp_path / "last.pt")
    assert main(["import", str(tmp_path / "last.pt"), "--steps", "30"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.startswith("not proven for a CyclicLR with a scale_fn: a Python function is in no") for line in lines
    )
    assert any("equals the real CyclicLR" in line and "with these parameters" in line for line in lines)


def test_a_length_beyond_all_tables_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that names more rows than a table may have asks for --steps."""
    (tmp_path / "a.json").write_text(json.dumps({"lr_scheduler_type": "constant", "max_steps": 10**10}))
    assert main(["import", str(tmp_path / "a.json")]) == 2
    said = "--steps must be given, at most 100,000,000: the file says 10,000,000,000 (max_steps)"
    assert said in capsys.readouterr().err


def test_the_state_of_a_table_names_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A checkpoint of a training with a table says which table it is, where the training was, and how to get it."""
    table = Table.compute(Spec(schedule=builtin.StepLR(0.1, 3), total_steps=9))
    state = advanced(TableLR(sgd(), table), 4).state_dict()
    for content in ({"lr_schedulers": [state], "epoch": 3, "global_step": 4}, {"scheduler": state}, state):
        torch.save(content, tmp_path / "last.ckpt")
        for words in ([], ["--class", "StepLR"]):
            assert main(["import", str(tmp_path / "last.ckpt"), *words]) == 2
            said = (
                f"this is the state of a TableLR: table {table.digest}, position 4. The table has its spec: client.get("
            )
            assert f"{said}{table.digest!r})" in capsys.readouterr().err


def test_the_axis_and_the_warmup_are_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a checkpoint and an "auto" leave open is said on the command line."""
    scheduler = advanced(CosineAnnealingLR(sgd(), 30), 7)
    content = {"lr_schedulers": [scheduler.state_dict()], "epoch": 20, "global_step": 900}
    torch.save(content, tmp_path / "last.ckpt")
    words = ["import", str(tmp_path / "last.ckpt"), "--steps", "30"]
    assert main(words) == 2
    assert "--axis step or --axis epoch" in capsys.readouterr().err
    assert main([*words, "--axis", "epoch"]) == 0
    assert "30 epochs (as asked)" in capsys.readouterr().out
    automatic = {"warmup_num_steps": "auto", "total_num_steps": 90}
    (tmp_path / "ds.json").write_text(json.dumps({"scheduler": {"type": "WarmupDecayLR", "params": automatic}}))
    assert main(["import", str(tmp_path / "ds.json"), "--warmup-steps", "9"]) == 0
    assert '"warmup_num_steps":9' in capsys.readouterr().out


def test_a_bundle_takes_no_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is for other files is not ignored in silence where the file is a bundle."""
    assert main(["import", str(tmp_path / "runs.zip"), "--lr", "1"]) == 2
    assert "--lr (learning_rate) must not be given with a bundle, got 1.0" in capsys.readouterr().err


def test_bad_files_are_one_line(arguments: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be imported is an error in one line, and the exit status of bad input."""
    (tmp_path / "x.json").write_text("[]")
    for words in (["x.json"], ["absent.json"], ["training_args.json", "--cache", "x"], ["x.json", "--steps", "0"]):
        assert main(["import", str(tmp_path / words[0]), *words[1:]]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
