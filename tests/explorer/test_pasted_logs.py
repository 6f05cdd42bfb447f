"""Pasted logs and states of torch's schedulers: the page finds in them what Python's audit and reader find."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scheduler import Spec
from scheduler.audit.auditing import audit
from scheduler.audit.logs.readers import parse_log
from scheduler.interop.torch_state import SavedScheduler, from_torch_state
from tests.explorer.code import made_by, of_library, with_code
from tests.explorer.node import pasted

ROWS = 400
PLAN = {"kind": "custom.WarmupWithDecay", "base_lr": 5e-4, "warmup_steps": 40, "total_steps": ROWS, "min_lr": 1e-6}

WRITTEN: dict[str, Callable[[float], str]] = {
    "repr": repr,
    "float32": lambda rate: str(np.float32(rate)),
    "as doubles": lambda rate: repr(float(np.float32(rate))),
    "float16": lambda rate: repr(float(np.float16(rate))),
    "digits": lambda rate: f"{rate:.4g}",
    "scientific": lambda rate: f"{rate:.3e}",
    "places": lambda rate: f"{rate:.7f}",
}
"""How a trainer may write a rate."""


def json_state(steps: list[int], words: list[str]) -> str:
    """The Trainer's `trainer_state.json`, evaluations among its records."""
    records = [
        f'{{"step": {step}, "learning_rate": {word}, "loss": 0.5}}' for step, word in zip(steps, words, strict=True)
    ]
    return (
        f'{{"global_step": 400, "log_history": [{", ".join([*records, json.dumps({"step": 400, "eval_loss": 1.5})])}]}}'
    )


def json_lines(steps: list[int], words: list[str]) -> str:
    return "".join(
        f'{{"iteration": {step}, "lr": {word}, "note": null}}\n' for step, word in zip(steps, words, strict=True)
    )


def tensorboard(steps: list[int], words: list[str]) -> str:
    return "Wall time,Step,lr\n" + "".join(
        f"1764.{step},{step},{word}\n" for step, word in zip(steps, words, strict=True)
    )


def wandb(steps: list[int], words: list[str]) -> str:
    name = "good, run 5 - train/learning_rate"
    header = f'"Step","{name}","{name}__MIN","{name}__MAX"\r\n'
    return header + "".join(f'"{step}","{word}","{word}","{word}"\r\n' for step, word in zip(steps, words, strict=True))


def lightning(steps: list[int], words: list[str]) -> str:
    rows = "".join(f"0,{word},{step},\n0,,{step},1.5\n" for step, word in zip(steps, words, strict=True))
    return f"epoch,lr-AdamW,step,train_loss\n{rows}"


def applied(steps: list[int], words: list[str]) -> str:
    rows = "".join(f"{step},{word}\n" for step, word in zip(steps, words, strict=True))
    return f'# lrtables applied rates 1 {{"run": "a/b", "version": 3}}\nupdate,lr\n{rows}5'


FORMATS = [json_state, json_lines, tensorboard, wandb, lightning, applied]


def drawn_log(choose: random.Random, rates: list[float]) -> str:
    """A log of some of the rates: late, with gaps, twice after a resume, counted from 1, wrong from somewhere on."""
    offset, every, begin = choose.choice([0, 0, -1, 1]), choose.choice([1, 1, 10]), choose.choice([0, 1, 7])
    steps = list(range(max(begin, 1 if offset == -1 else 0), ROWS - 1, every))
    steps += steps[-3:] if choose.random() < 0.2 else []
    logged = [rates[min(step + offset, ROWS - 1)] for step in steps]
    if choose.random() < 0.4:
        wrong, factor = choose.randrange(len(logged)), choose.choice([2, 1.01, 1 + 1e-9, float("nan")])
        logged = [rate * factor if at >= wrong else rate for at, rate in enumerate(logged)]
    written = choose.choice(list(WRITTEN.values()))
    return choose.choice(FORMATS)(steps, [str(written(rate)).replace("nan", "NaN") for rate in logged])


def test_logs_are_audited_as_python_audits_them(tmp_path: Path) -> None:
    """Of logs in every format and precision the page finds the column, the precision, and the first wrong rate."""
    table = Spec.model_validate({"schedule": PLAN, "total_steps": ROWS}).table()
    choose, planned = random.Random(4), table.columns["lr"].tolist()
    texts = [drawn_log(choose, planned) for _ in range(60)]
    differing = 0
    for text, found in zip(
        texts, pasted([{"text": each, "planned": [planned]} for each in texts], tmp_path), strict=True
    ):
        assert "log" in found, (text[:200], found)
        expected = audit(parse_log(text), table)
        (column,), (here,) = expected.columns, found["log"]["columns"]
        assert (here["name"], here["precision"]) == (column.name, column.precision), text[:300]
        assert here["steps"] == column.steps.tolist()
        if here["found"]["offset"] != column.offset:
            assert column.diseases, text[:300]  # a known cause told Python which steps are meant
            continue
        assert here["found"]["differing"] == column.differing, text[:300]
        assert (here["found"]["first"] or {}).get("step") == getattr(column.first_wrong, "step", None), text[:300]
        differing += bool(column.differing)
    assert 8 < differing < 40


def test_columns_are_matched_with_groups_and_asked_for_where_several_may_be_meant(tmp_path: Path) -> None:
    """A log with a rate for each parameter group is that of a table with as many; else one is asked for, or given."""
    text = "step,lr-SGD/pg1,lr-SGD/pg2,loss\n0,0.1,0.2,5\n1,0.1,0.3,4\n"
    several, grouped, given, unnamed = pasted(
        [
            {"text": text},
            {"text": text, "groups": 2},
            {"text": text, "given": {"column": "lr-SGD/pg2"}},
            {"text": "Wall time,Step,Value\n1.5,1,0.1\n"},
        ],
        tmp_path,
    )
    assert several["needs"]["fields"][0]["choices"] == ["lr-SGD/pg1", "lr-SGD/pg2"]
    assert [column["name"] for column in grouped["log"]["columns"]] == ["lr-SGD/pg1", "lr-SGD/pg2"]
    assert given["log"]["columns"][0]["values"] == ["0.2", "0.3"]
    assert unnamed["log"]["columns"][0]["name"] == "Value"


@pytest.mark.parametrize("written", [str, json.dumps], ids=["printed", "JSON"])
def test_states_are_read_as_python_reads_them(written: Any, tmp_path: Path) -> None:
    """The state of each of torch's classes, composites and groups among them, gives the spec that Python finds."""
    specs, states = of_library("torch.")[::3], []
    for spec, code in with_code(specs, "torch"):
        scheduler = made_by(code, spec, steps=min(5, spec.total_steps - 1))
        states.append((spec, {"scheduler": scheduler.state_dict(), "optimizer": scheduler.optimizer.state_dict()}))
    requests = [{"text": written(state), "given": {"total_steps": spec.total_steps}} for spec, state in states]
    found, read = pasted(requests, tmp_path), 0
    for (spec, state), here in zip(states, found, strict=True):
        saved = read_by_python(state)
        if saved is None:
            assert here.get("isOurs"), (here, spec)
            continue
        expected = Spec(schedule=saved.schedule, total_steps=spec.total_steps)
        assert here.get("canonical") == expected.canonical(), (here, state)
        assert here["position"] == saved.position
        read += 1
    assert read > len(states) // 2


def read_by_python(state: dict[str, Any]) -> SavedScheduler | None:
    """What Python finds in a state; None where it refuses it."""
    try:
        return from_torch_state(state["scheduler"], groups=state["optimizer"]["param_groups"])
    except ValueError:
        return None
