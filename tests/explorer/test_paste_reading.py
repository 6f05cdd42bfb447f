"""What the paste box reads of a text with more in it than arguments, and how long a hostile one keeps it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.explorer.node import pasted

LENGTH = 300_000
LONG = {
    "texts that never end": "TrainingArguments(" + '"""a,\\' * (LENGTH // 6),
    "short texts that never end": "TrainingArguments(" + '"a,\\' * (LENGTH // 4),
    "quotes in code": "'\\" * (LENGTH // 2),
    "comments between values": "TrainingArguments(" + "1 #," * (LENGTH // 4) + "\nx",
    "brackets that do not fit": "TrainingArguments(" + "f(x]," * 40,
    "lists in calls": "TrainingArguments(" + "[f(x]]," * 29 + "1)2]" * 29,
    "many calls": "aConfig()" * (LENGTH // 9),
    "calls with texts that never end": 'aConfig(b="""\\)' * (LENGTH // 15),
    "empty lines": "{}" + "\n" * LENGTH + "x",
    "digits in YAML": "learning_rate: " + "1" * LENGTH + "x\nmax_steps: 3",
    "spaces in YAML": "learning_rate: 1\u2028" + " " * LENGTH + "\u2028x",
    "digits in flags": "--max_steps 3 --learning_rate " + "1" * LENGTH + "x",
    "digits in a log": "step,lr\n1," + "1" * LENGTH + "x\n",
    "zeros in a log": "step,lr\n1,1" + "0" * LENGTH + "1\n",
    "digits in an option": 'TrainingArguments(max_steps=3, lr_scheduler_type="cosine_with_restarts", '
    f'lr_scheduler_kwargs={{"num_cycles": "{"1" * LENGTH}x"}})',
    "digits in JSON": '{"learning_rate": ' + "1" * LENGTH + "x}",
    "quotes in flags": "--max_steps 3 " + '"a\\' * (LENGTH // 3),
    "lines of flags": "--max_steps 3" + "\n" * LENGTH + "x",
    "documents": "---\n" * (LENGTH // 4) + "a: 1",
    "names": json.dumps({"max_steps": 3, **{f"warmup_ste{number}": 1 for number in range(LENGTH // 20)}}),
    "changes": "aConfig()" + "\na.b =" * (LENGTH // 6),
    "quotes in CSV": 'step,"' + '""' * (LENGTH // 2) + ",lr\n1,2\n",
}


@pytest.mark.timeout(120)
def test_the_time_of_reading_grows_with_the_length(tmp_path: Path) -> None:
    """Texts that a backtracking reader would take minutes for, each, are read within the test's time."""
    found = pasted([{"text": text} for text in LONG.values()], tmp_path)
    for name, each in zip(LONG, found, strict=True):
        assert "error" not in each or each["isOurs"], (name, str(each)[:300])


ARGUMENTS = 'TrainingArguments(learning_rate=1e-4, max_steps=10, warmup_steps=2, lr_scheduler_type="cosine")'
AROUND = {
    "after another class": f"peft=LoraConfig(r=8)\nargs={ARGUMENTS}",
    "in another call": f"trainer = SFTTrainer(model, args={ARGUMENTS}, peft_config=LoraConfig(r=8))",
    "below a comment": f"# TrainingArguments(learning_rate=5e-5, max_steps=3)\nargs = {ARGUMENTS}",
    "below a text": f'"""\nTrainingArguments(learning_rate=5e-5, max_steps=3)\n"""\nargs = {ARGUMENTS}',
    "beside an apostrophe": f"It's this:\n{ARGUMENTS}",
}


def test_the_call_with_training_arguments_is_read(tmp_path: Path) -> None:
    """Other calls, comments and texts around it change nothing; of two such calls none is read."""
    texts = [ARGUMENTS, *AROUND.values(), f"{ARGUMENTS}\n{ARGUMENTS}"]
    expected, *found, two = pasted([{"text": text} for text in texts], tmp_path)
    got = {name: each.get("canonical", each) for name, each in zip(AROUND, found, strict=True)}
    assert got == dict.fromkeys(AROUND, expected["canonical"])
    assert "2 calls" in two["message"]
    assert "line 1" in two["message"]
    assert "line 2" in two["message"]


REFUSED = {
    "TrainingArguments(**common, max_steps=100)": "**common",
    "TrainingArguments(max_steps=100, ...)": "not in the text",
    'TrainingArguments("out", True, max_steps=100)': "2 arguments without a name",
    "TrainingArguments(learning=1e-3, max_steps=100)": "is learning_rate meant?",
    "TrainingArguments(max_steps=100, warmup_stps=10)": "is warmup_steps meant?",
    "TrainingArguments(max_steps=100, beta=1)": "has no argument beta",
    "args = TrainingArguments(max_steps=100)\nargs.learning_rate = 1e-3": "line 2 changes the arguments",
    "args = TrainingArguments(max_steps=100)\nargs.learning_rate *= 8": "line 2 changes the arguments",
    "args = TrainingArguments(max_steps=100)\nargs.set_lr_scheduler('cosine')": "with set_lr_scheduler",
    '{"learning_rate": 1e-3, "lr_scheduler_typo": "cosine", "max_steps": 10}': "is lr_scheduler_type meant?",
    '{"learning_rate": 1e-3, "lr_scheduler": "cosine", "max_steps": 10}': "lr_scheduler_kwargs or lr_scheduler_type",
    "train.py --learning_r 1e-3 --max_steps 10": "is learning_rate meant?",
    "train.py --learning_rate 1 --max_steps 10\ntrain.py --learning_rate 2 --max_steps 10": "2 commands",
    "train.py --learning_rate 1 --max_steps 10 && train.py --learning_rate 2": "2 commands",
    "learning_rate: 1\nmax_steps: 3\n---\nlearning_rate: 2\n": "line 3: another document",
    "learning_rate: 1e-3\nmax_steps: 30\ncosine_min_lr_ratio: 0.1\n": "cosine_min_lr_ratio changes the rates",
    "SFTConfig(learning_rate=1, max_steps=30, loraplus_lr_ratio=16)": "loraplus_lr_ratio changes the rates",
}


def test_arguments_that_are_not_understood_are_refused_by_name(tmp_path: Path) -> None:
    """What is hidden, misspelt, changed later, given twice or another tool's is refused, never passed over."""
    found = pasted([{"text": text} for text in REFUSED], tmp_path)
    got = {text: each.get("message", str(each)) for text, each in zip(REFUSED, found, strict=True)}
    assert {text: got[text] for text, said in REFUSED.items() if said not in got[text]} == {}


def test_other_classes_are_asked_for_what_they_do_not_say(tmp_path: Path) -> None:
    """No class but TrainingArguments has its defaults: each number that decides the rates is asked for, or given."""
    asked = {"lr_scheduler_type": "cosine", "total_steps": 100, "warmup_steps": 0, "learning_rate": 2e-5}
    text, items = "DPOConfig(output_dir='x', max_length=5, lr_scheduler_kwargs=None)", list(asked.items())
    requests = [{"text": text, "given": dict(items[:some])} for some in range(len(items) + 1)]
    *needed, complete = pasted(requests, tmp_path)
    assert "DPOConfig" in needed[0]["needs"]["message"]
    assert [each["needs"]["fields"][0]["name"] for each in needed] == list(asked)
    assert complete["spec"]["schedule"]["base_lr"] == 2e-5
    assert complete["notes"] == []


def test_defaults_that_are_taken_are_told(tmp_path: Path) -> None:
    """The defaults of TrainingArguments are named with their values, and the command's processes are proposed."""
    texts = [
        "TrainingArguments(max_steps=10)",
        "# train.py --learning_rate 5\ntorchrun --nproc_per_node 8 --nnodes=2 train.py --learning_rate 1e-4",
    ]
    call, command = pasted([{"text": text} for text in texts], tmp_path)
    assert call["notes"] == [
        "Not in the text, so that TrainingArguments' defaults are taken: learning_rate 5e-05, "
        "lr_scheduler_type linear, warmup_steps 0."
    ]
    assert [field.get("value") for field in command["needs"]["fields"]] == [None, None, "16"]
