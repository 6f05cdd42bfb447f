"""Texts as people paste them, and as nobody should: one meaning however it is written, and an error for all else."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scheduler.audit.auditing import audit
from scheduler.audit.logs.readers import parse_log
from scheduler.custom import WarmupWithDecay
from scheduler.spec import Spec
from scheduler.table_format import Axis
from tests.explorer.conftest import MARKUP
from tests.explorer.node import pasted

COSINE = {
    "schedule": {
        "kind": "transformers.cosine_with_min_lr",
        "base_lr": 2e-5,
        "num_warmup_steps": 50,
        "num_training_steps": 500,
        "min_lr": 1e-6,
    },
    "total_steps": 500,
}
SPELLINGS = {
    "a call": """TrainingArguments(learning_rate=2e-5, max_steps=500, warmup_steps=50,
        lr_scheduler_type="cosine_with_min_lr", lr_scheduler_kwargs={"min_lr": 1e-6})""",
    "code": """from transformers import SchedulerType, TrainingArguments
        args = TrainingArguments(
            output_dir=f"out/{name}),",  # a bracket in a text
            learning_rate=2e-5, max_steps=500, per_device_train_batch_size=batch // 2, warmup_steps=50,
            lr_scheduler_type=SchedulerType.COSINE_WITH_MIN_LR,
            lr_scheduler_kwargs=dict(min_lr=1e-6))
        trainer = Trainer(model, args, callbacks=[Callback(1)])""",
    "a subclass": "sft_config = SFTConfig(\n learning_rate=2e-5, max_steps=500, warmup_steps=50,\n"
    " lr_scheduler_type='cosine_with_min_lr', lr_scheduler_kwargs={'min_lr': 1e-6},\n)",
    "printed": "TrainingArguments(\n_n_gpu=0,\nlearning_rate=2e-05,\nlogging_dir=out/it's, a/run,\n"
    "lr_scheduler_kwargs={'min_lr': 1e-06},\nlr_scheduler_type=SchedulerType.COSINE_WITH_MIN_LR,\nmax_steps=500,\n"
    "optim=OptimizerNames.ADAMW_TORCH,\nwarmup_ratio=None,\nwarmup_steps=50,\n)",
    "a printed dict": "{'learning_rate': 2e-05, 'max_steps': 500, 'save_strategy': <SaveStrategy.NO: 'no'>,"
    " 'bf16': True, 'state': An environment: NO\nDevice: cpu\n,"
    " 'lr_scheduler_type': <SchedulerType.COSINE_WITH_MIN_LR: 'cosine_with_min_lr'>, 'warmup_steps': 50,"
    " 'lr_scheduler_kwargs': {'min_lr': 1e-06}, 'deepspeed': None}",
    "flags": "torchrun train.py --learning_rate 2e-5 --max-steps=500 --bf16 \\\n --warmup_steps 50 --lr_scheduler_type"
    " cosine_with_min_lr --lr_scheduler_kwargs '{\"min_lr\": 1e-6}'",
    "YAML": "# of axolotl\nlearning_rate: 2e-5\nlr_scheduler: cosine_with_min_lr\nlr_scheduler_kwargs:\n"
    "  min_lr: 1e-6\nmax_steps: 500\nwarmup_steps: 50\ndatasets:\n- path: a/b # c\n  type: x\n"
    "special: {a: b c, d: [e, 1]}\n"
    "text: |\n  a: 1\n",
    "JSON": json.dumps(
        {
            "learning_rate": 2e-5,
            "max_steps": 500,
            "warmup_steps": 50,
            "lr_scheduler_type": "cosine_with_min_lr",
            "lr_scheduler_kwargs": '{"min_lr": "0.000001"}',
        }
    ),
    "a spec": json.dumps(COSINE),
    "a schedule": repr(COSINE["schedule"]),
}


def test_arguments_mean_the_same_however_they_are_written(tmp_path: Path) -> None:
    """A call, code around it, what print says, flags, YAML and JSON are one spec."""
    found = pasted([{"text": text, "given": {"total_steps": 500}} for text in SPELLINGS.values()], tmp_path)
    expected = Spec.model_validate_json(json.dumps(COSINE)).canonical()
    assert {name: each for name, each in zip(SPELLINGS, found, strict=True) if each.get("canonical") != expected} == {}


STATE: dict[str, Any] = {"milestones": Counter({30: 1, 80: 2}), "gamma": 0.1, "base_lrs": [0.5], "last_epoch": 31}
ASKED: list[tuple[str, list[str]]] = [
    ("TrainingArguments(learning_rate=1e-4, num_train_epochs=epochs)", ["total_steps", "dataset_length", "world_size"]),
    ('{"type": "WarmupLR", "params": {"warmup_max_lr": "auto", "warmup_num_steps": 10}}', ["learning_rate"]),
    ('{"type": "WarmupLR", "params": {"warmup_max_lr": 1, "warmup_num_steps": "auto"}}', ["warmup_steps"]),
    ('{"type": "WarmupDecayLR", "params": {"total_num_steps": "auto"}}', ["total_steps"]),
    (repr(STATE), ["total_steps"]),
    (repr({"last_epoch": 3, "base_lrs": [0.1], "gamma": 0.9, "mine": 1}), ["class_name"]),
    ('{"kind": "Constant", "value": 0.1}', ["total_steps"]),
    ("step,a,b\n1,0.1,0.2\n", ["column"]),
]


def test_what_a_text_does_not_say_is_asked_for(tmp_path: Path) -> None:
    """A length, a rate, a class or a column that is missing is asked for, with the reason, and never guessed."""
    found = pasted([{"text": text} for text, _ in ASKED], tmp_path)
    assert [[field["name"] for field in each["needs"]["fields"]] for each in found] == [names for _, names in ASKED]


LINKS = {
    "https://tables.example.org/x#kind=Constant&y=log": "kind=Constant&y=log",
    "#spec=%7B%7D": "spec=%7B%7D",
    "recipe=t5": "recipe=t5",
    "file:///a/index.html#run=team%2Fbert@3": "run=team%2Fbert@3",
    repr({"last_epoch": 5, "digest": "ab" * 32, "axis": "step", "run": None}): f"table={'ab' * 32}",
}


def test_links_and_states_of_tables_lead_to_their_curves(tmp_path: Path) -> None:
    """A link of a page with any address is followed by its fragment, the state of a TableLR by its digest."""
    assert [each["address"] for each in pasted([{"text": text} for text in LINKS], tmp_path)] == list(LINKS.values())


MILLION = 1_000_000
HOSTILE = {
    "nothing": " \n\t ",
    "a word": "hello",
    "markup": MARKUP,
    "one letter": "x" * MILLION,
    "spaces": "x" + " " * MILLION + "x",
    "brackets": "[" * MILLION,
    "calls": "TrainingArguments(" * 50_000,
    "broken arguments": f"TrainingArguments({'a=?,' * 250_000})",
    "no end": f"TrainingArguments(a='{'x' * MILLION}",
    "quotes": "'" * MILLION,
    "comments": "#\n" * (MILLION // 2),
    "keys": "".join(f"k{number}: 1\n" for number in range(50_000)),
    "lists": "- " * (MILLION // 2),
    "indents": "".join(" " * depth + "a:\n" for depth in range(1000)),
    "columns": ",".join(f"c{number}" for number in range(50_000)) + ",step\n1",
    "links": "spec=" * 60_000 + " x",
    "constants": '{"learning_rate": NaN, "max_steps": -Infinity}',
    "huge numbers": '{"learning_rate": 1e999, "max_steps": 1e300}',
    "too many steps": '{"learning_rate": 1e-5, "max_steps": 1e300}',
    "prototypes": '{"__proto__": {"schedule": 1}, "constructor": 1}',
    "a state of nothing": '{"last_epoch": 1e9, "base_lrs": [0.1], "gamma": 0.5}',
    "nested states": '{"_schedulers": [' * 30 + "]}" * 30,
    "no kind": json.dumps({"schedule": {"kind": MARKUP}, "total_steps": 5}),
    "a step of letters": "step,lr\none,0.1\n",
    "a rate of letters": "step,lr\n1,fast\n",
    "half a line": "# lrtables applied rates 1 {}\nupdate,lr\n0,0.1,5\n",
    "no records": '{"log_history": {"step": [1]}}',
}


def test_other_texts_are_refused_in_a_sentence(tmp_path: Path) -> None:
    """A million characters, markup, NaN, huge numbers and deep nesting end in an error of ours, each in one line."""
    found = pasted([{"text": text} for text in HOSTILE.values()], tmp_path)
    for name, each in zip(HOSTILE, found, strict=True):
        assert each.get("isOurs"), (name, str(each)[:300])
        assert len(each["message"]) < 600, name


@pytest.mark.parametrize(("axis", "stride", "per_step"), [("step", 4, 1), ("token", 1000, 3000)])
def test_rows_of_several_units_are_compared_by_their_progress(
    axis: Axis, stride: int, per_step: int, tmp_path: Path
) -> None:
    """Where a row counts several steps or tokens, the page and Python look up the same row for an update."""
    schedule = WarmupWithDecay(1e-3, 10, 100)
    table = Spec(schedule=schedule, total_steps=100, axis=axis, stride=stride).table()
    planned = table.columns["lr"].tolist()
    rates = [planned[min(update * per_step // stride, 99)] for update in range(60)]
    text = "step,lr\n" + "".join(f"{step},{rate * (2 if step > 20 else 1)}\n" for step, rate in enumerate(rates))
    request = {"text": text, "planned": [planned], "stride": stride, "per_step": per_step}
    (found,) = pasted([request], tmp_path)
    (column,) = audit(parse_log(text), table, per_step=per_step).columns
    assert column.first_wrong is not None
    first = found["log"]["columns"][0]["found"]["first"]
    assert (first["step"], first["planned"]) == (column.first_wrong.step, column.first_wrong.planned) == (21, rates[21])
