"""Warnings: a training of other steps than the schedule was made for is warned of, by one rule for all kinds."""

from __future__ import annotations

import json
import re
from collections import abc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler import KINDS, Schedule, ScheduleWarning, Spec, builtin
from scheduler.builtin import CosineAnnealingLR, OneCycleLR
from scheduler.commands.typed import CommandWords, typed_spec
from scheduler.compose import (
    Clamp,
    Constant,
    Cycle,
    Maximum,
    PerEpoch,
    Product,
    Ramp,
    Scale,
    Sequence,
    Splice,
)
from scheduler.compose.literal import Literal
from scheduler.custom import LinearWarmup, WarmupWithDecay
from scheduler.libraries import transformers
from scheduler.messages.warnings import MAX_WARNINGS
from scheduler.spec import stated_length
from scheduler.views.compare import compare
from tests.support.schedules.made_for import MADE_FOR, WITHOUT, N, numbered
from tests.support.schedules.strategies import schedules

LENGTHS = {"total_steps", "total_num_steps", "num_training_steps", "T_max"}
"""The libraries' names for the number of all steps."""

each = pytest.mark.parametrize


def test_every_kind_is_here() -> None:
    """No kind is left out of the laws below."""
    assert {schedule.kind for schedule in (*MADE_FOR, *WITHOUT)} == set(KINDS)


@each(("schedule", "longer"), MADE_FOR.items(), ids=numbered(MADE_FOR))
def test_a_warning_about_the_length_has_both_numbers(schedule: Schedule, longer: bool) -> None:
    """At its own length there is nothing to say of a schedule; at half of it, or twice, the numbers are named."""
    assert schedule.stated_steps == N
    assert schedule.warnings(N) == []
    (shorter,) = schedule.warnings(N // 2)
    assert {str(N // 2), "5", "55", "40"} & {*re.findall(r"\d+", shorter)}  # on the clock of the part that is meant
    assert (schedule.warnings(2 * N) != []) is longer
    for text in schedule.warnings(2 * N):
        assert any(later in text for later in ("rises again", "stays at", "is held", "goes on"))


@each("schedule", MADE_FOR, ids=numbered(MADE_FOR))
def test_the_stated_length_is_the_default_everywhere(schedule: Schedule) -> None:
    """Table, preview and comparison have exactly the steps that the schedule states, and nothing to warn of."""
    shown, _ = typed_spec(CommandWords(positional=[json.dumps(schedule.to_dict())]), None)
    bare, _ = typed_spec(CommandWords(positional=[json.dumps({"schedule": schedule.to_dict()})]), None)
    assert (schedule.table().total_steps, shown.total_steps, bare.total_steps) == (N, N, N)
    assert compare(schedule, schedule).steps == N
    assert shown.warnings() == []


@each("schedule", [each for each in WITHOUT if each.stated_steps is None], ids=lambda schedule: schedule.kind)
def test_a_table_without_a_stated_length_needs_one(schedule: Schedule) -> None:
    """Where no parameter says how long the curve is, a table asks for it, and a preview warns of nothing."""
    with pytest.raises(ValueError, match=rf"^total_steps is needed: {re.escape(schedule.kind)} has no end of its own$"):
        schedule.table()
    shown, why = typed_spec(CommandWords(positional=[json.dumps(schedule.to_dict())]), None)
    assert why.startswith("the schedule has no end")
    assert shown.warnings() == []


@each("kind", sorted({*KINDS} - {"transformers.warmup_stable_decay"}))  # states the sum of its three parts
@given(data=st.data())
@settings(max_examples=5, suppress_health_check=list(HealthCheck))
def test_a_length_among_the_parameters_is_the_stated_one(kind: str, data: st.DataObject) -> None:
    """However a library calls it, the number of all steps is the stated length."""
    schedule = data.draw(schedules(kind))
    assert {getattr(schedule, name) for name in LENGTHS & vars(schedule).keys()} <= {schedule.stated_steps, None}


def test_groups_of_one_length_state_it() -> None:
    """Parameter groups that state one length have it; those that state none follow; different ones state none."""
    assert stated_length([Ramp(0.1, 0.0, N), CosineAnnealingLR(0.1, N), Constant(0.1)]) == N
    assert stated_length([Ramp(0.1, 0.0, N), CosineAnnealingLR(0.1, N + 1)]) is None


@each(("schedule", "fewest"), WITHOUT.items(), ids=numbered(WITHOUT))
def test_a_schedule_without_a_length_is_good_for_any_that_is_longer_than_its_warmup(
    schedule: Schedule, fewest: int
) -> None:
    """A schedule that is made for no number of steps is warned of only where its warmup takes them all."""
    assert [steps for steps in (fewest, fewest + 1, 1000) if schedule.warnings(steps)] == []
    if fewest > 1:
        (text,) = schedule.warnings(fewest - 1)
        assert str(fewest - 1) in re.findall(r"\d+", text)


@each("kind", sorted(KINDS))
@given(data=st.data())
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
def test_warnings_are_few_and_short_sentences(kind: str, data: st.DataObject) -> None:
    """Whatever the parameters, there are at most a dozen, each a line that is said once."""
    schedule = data.draw(schedules(kind, depth=2))
    texts = schedule.warnings(data.draw(st.sampled_from([1, 2, 50, 3000, 10**10])))
    assert len(texts) == len(set(texts)) <= MAX_WARNINGS + 1
    assert all("\n" not in text and len(text) < 400 for text in texts)


@each(
    ("schedule", "steps", "said"),
    [
        (transformers.Cosine(1e-3, 0, 50), 100, "made for 50 steps and gets 100: from step 50 on the rate rises again"),
        (transformers.Linear(1e-3, 0, 50), 100, "from step 50 on the rate stays at 0"),
        (transformers.Linear(1e-3, 200, 100), 100, "100 steps are no more than the 200 num_warmup_steps"),
        (transformers.Linear(1e-3, 100, 100), 150, "num_warmup_steps=100 of this .* leaves nothing of its 100 steps"),
        (OneCycleLR(0.1, 100), 50, "torch.OneCycleLR is made for 100 steps and gets 50: the rest of it is cut off"),
        (Scale(transformers.Cosine(1e-3, 0, 50), 2.0), 100, "^schedule: this .* from step 50 on the rate is held"),
        (PerEpoch(CosineAnnealingLR(0.1, 5), 10), 100, "^schedule, counted in epochs: .*from step 5 on the rate rises"),
        (Product([Constant(1.0), LinearWarmup(1e-3, 80)]), 80, r"^schedules\[1\]: the warmup is as long as the"),
        (
            Sequence([LinearWarmup(1e-3, 10), CosineAnnealingLR(0.1, 40)], [20]),
            100,
            r"^schedules\[1\], from step 20 on: .*made for 40 steps and gets 80: from step 40 on the rate rises again",
        ),
        (
            Sequence([LinearWarmup(1e-3, 50), Constant(1e-3)], [20]),
            100,
            r"^schedules\[0\], from step 0 on: .*rises for 50 steps and gets 20: what follows begins before it is up",
        ),
        (Splice(Constant(0.1), 200, Ramp("previous", 0.0, 5)), 100, "begins at step 200 and is never reached in 100"),
        (Splice(Constant(0.1), 100, Ramp("previous", 0.0, 5)), 100, "begins at step 100 and is never reached in 100"),
        (Sequence([Constant(0.1), Ramp(0.1, 0.0, 50)], [100]), 100, "begins at step 100 and is never reached in 100"),
        (
            Splice(Constant(0.1), 20, Sequence([Ramp("previous", 0.0, 30), Constant(0.0)], [30])),
            40,
            r"^tail, from step 20 on: the last part of this Sequence begins at step 30 and is never reached in 20",
        ),
    ],
    ids=str,
)
def test_unusual_uses_are_warned_of(schedule: Schedule, steps: int, said: str) -> None:
    """Each of these is one sentence, with the place where a part is meant, on the part's own clock."""
    with pytest.warns(ScheduleWarning, match=said) as caught:
        schedule.table(steps)
    assert [Path(warning.filename) for warning in caught] == [Path(__file__)]


@each(
    ("schedule", "steps"),
    [
        (Sequence([LinearWarmup(1e-3, 10), Constant(1e-3), Ramp("previous", 0.0, 50)], [10, 40, 50]), 100),
        (Sequence([Ramp(0.0, 1e-3, 10), Ramp(1e-3, 1e-5, 50, "cosine")], [10]), 100),
        (Sequence([Ramp(0.0, 1e-3, 10), Ramp(1e-3, 1e-5, 90, "cosine"), Constant(1e-5)], [10, 90]), 100),
        (Splice(WarmupWithDecay(1e-3, 10, 1000), 50, Ramp("previous", 0.0, 50)), 100),
        (Sequence([WarmupWithDecay(1e-3, 10, 1000), Ramp("previous", 0.0, 50)], [50, 50]), 100),
        (Product([Ramp(0.0, 1.0, 10), transformers.Cosine(1e-3, 0, 100)]), 100),
        (Product([Literal([0.1, 0.5, 1.0]), Constant(1e-3)]), 100),
        (Maximum([WarmupWithDecay(1e-3, 10, 60), Constant(1e-5)]), 100),
        (Clamp(WarmupWithDecay(1e-3, 10, 60), 1e-5), 60),
        (Cycle(CosineAnnealingLR(0.1, 10), 10), 100),
        (PerEpoch(builtin.StepLR(0.1, 3), 10), 100),
    ],
    ids=str,
)
def test_what_is_meant_is_not_warned_of(schedule: Schedule, steps: int) -> None:
    """A part that another relieves, a floor under a decay and the usual compositions are as they should be."""
    assert schedule.warnings(steps) == []


def test_other_columns_are_warned_of_too() -> None:
    """A decay of weights that is cut off is said of its column."""
    columns: dict[str, Schedule | abc.Sequence[Schedule]] = {"weight_decay": Ramp(0.4, 0.04, 100, "cosine")}
    (text,) = Spec(schedule=Constant(0.1), columns=columns, total_steps=50).warnings()
    assert text == "columns.weight_decay: this Ramp is made for 100 steps and gets 50: the rest of it is cut off"


def test_a_thousand_parts_are_not_a_thousand_warnings() -> None:
    """Warnings about many parts are limited in number, and a line says how many are left out."""
    many = Sequence([LinearWarmup(1e-3, 50)] * 300, [10] * 299)
    assert many.warnings(3000)[-1] == "there are more warnings: 290 are left out here"


def test_an_open_last_part_that_is_cut_off_is_told() -> None:
    """A last part without a length of its own is warned of where the training ends before it does."""
    (text,) = Sequence([LinearWarmup(0.1, 5), OneCycleLR(0.1, 100)], [5]).warnings(50)
    assert text == (
        "schedules[1], from step 5 on: "
        "this torch.OneCycleLR is made for 100 steps and gets 45: the rest of it is cut off"
    )
