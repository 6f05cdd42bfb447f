"""What the paste box reads of a text with more in it than arguments, and how long a hostile one keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.explorer.node import pasted

MILLION = 1_000_000
LONG = {
    "texts that never end": "TrainingArguments(" + '"""a,\\' * (MILLION // 6),
    "short texts that never end": "TrainingArguments(" + '"a,\\' * (MILLION // 4),
    "quotes in code": "'\\" * (MILLION // 2),
    "comments between values": "TrainingArguments(" + "1 #," * (MILLION // 4) + "\nx",
    "brackets that do not fit": "TrainingArguments(" + "f(x]," * 40,
    "lists in calls": "TrainingArguments(" + "[f(x]]," * 29 + "1)2]" * 29,
    "many calls": "aConfig()" * (MILLION // 9),
    "calls with texts that never end": 'aConfig(b="""\\)' * (MILLION // 15),
    "empty lines": "{}" + "\n" * MILLION + "x",
    "digits in YAML": "learning_rate: " + "1" * MILLION + "x\nmax_steps: 3",
    "spaces in YAML": "learning_rate: 1\u2028" + " " * MILLION + "\u2028x",
    "digits in flags": "--max_steps 3 --learning_rate " + "1" * MILLION + "x",
    "digits in a log": "step,lr\n1," + "1" * MILLION + "x\n",
    "zeros in a log": "step,lr\n1,1" + "0" * MILLION + "1\n",
    "digits in an option": 'TrainingArguments(max_steps=3, lr_scheduler_type="cosine_with_restarts", '
    f'lr_scheduler_kwargs={{"num_cycles": "{"1" * MILLION}x"}})',
    "digits in JSON": '{"learning_rate": ' + "1" * MILLION + "x}",
    "quotes in CSV": 'step,"' + '""' * (MILLION // 2) + ",lr\n1,2\n",
}


@pytest.mark.timeout(120)
def test_the_time_of_reading_grows_with_the_length(tmp_path: Path) -> None:
    """A million characters that a backtracking reader would take hours for end within the test's time."""
    found = pasted([{"text": text} for text in LONG.values()], tmp_path)
    for name, each in zip(LONG, found, strict=True):
        assert each.get("isOurs") or "needs" in each or "log" in each, (name, str(each)[:300])


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
