"""A name that people type is found in any case, by alias, or the error says which names it may mean."""

from __future__ import annotations

import json
import pickle

import pytest

from scheduler import KINDS, Spec, parse
from scheduler.builtin import NOT_TWINNED
from scheduler.libraries.transformers import ADAPTIVE
from scheduler.names.aliases import ALIASES, NO_SCHEDULES
from scheduler.names.lookup import meant_by, own_name, why_no_schedule
from scheduler.recipes import RECIPES
from scheduler.registry import UnknownKindError

NAMES = (*RECIPES, *KINDS)


def test_no_two_names_differ_in_case_alone() -> None:
    """The names of kinds and recipes stay apart without the case of letters, and with - for _."""
    assert len({name.lower().replace("-", "_") for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize(("alias", "target"), ALIASES.items(), ids=ALIASES)
def test_an_alias_is_of_one_name_and_hides_none(alias: str, target: str) -> None:
    """An alias leads to a kind or recipe that there is, and is no name that something else has."""
    assert target in NAMES
    assert alias == alias.lower().replace("-", "_")
    assert [name for name in NAMES if own_name(name) == alias] == []
    assert why_no_schedule(alias) is None
    assert meant_by(alias.upper(), NAMES) == meant_by(alias.replace("_", "-"), NAMES) == [target]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_found_in_any_case(name: str) -> None:
    """Every name means itself in capitals and in small letters, and so does its own part, unless libraries share it."""
    assert meant_by(name.upper(), NAMES) == meant_by(name.lower(), NAMES) == [name]
    assert name in meant_by(own_name(name), NAMES) or own_name(name) == "constant"


def test_the_names_of_get_scheduler_are_kinds() -> None:
    """Each name that `get_scheduler` of transformers takes is a kind, or says why not; `constant` is our own."""
    names = [kind.removeprefix("transformers.") for kind in KINDS if kind.startswith("transformers.")]
    found = {name: meant_by(name, NAMES) for name in names}
    assert found.pop("constant") == ["Constant"]
    assert found == {name: [f"transformers.{name}"] for name in found}


def test_what_is_no_schedule_says_why() -> None:
    """Every scheduler of torch and transformers without a twin has its reason, with its library's prefix or without."""
    assert NO_SCHEDULES.keys() == NOT_TWINNED.keys() | ADAPTIVE.keys()
    assert [name for name in NO_SCHEDULES if meant_by(name, NAMES)] == []
    with pytest.raises(UnknownKindError, match=r"'torch.reduceLRonPlateau' is no schedule: its rates follow .* amend"):
        KINDS.named("torch.reduceLRonPlateau")
    with pytest.raises(ValueError, match=r"'LambdaLR' is no schedule: .* capture\(scheduler, total_steps\)"):
        parse({"kind": "LambdaLR"})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("OneCycleLR", "several kinds are called .*: custom.OneCycleLR, torch.OneCycleLR$", id="several"),
        pytest.param(
            "wsdd", r"did you mean transformers.warmup_stable_decay \(wsd, trapezoidal\)\?$", id="near-an-alias"
        ),
        pytest.param("torch.StepLRR", "did you mean torch.StepLR", id="near-a-kind"),
        pytest.param("zzz", "'lrtables show' lists them all$", id="nothing-near"),
    ],
)
def test_a_name_of_no_kind_gets_advice(name: str, message: str) -> None:
    """A name that means no kind, or several, is an error that says which it may mean; it can be pickled."""
    with pytest.raises(UnknownKindError, match=message) as failure:
        KINDS.named(name)
    assert str(pickle.loads(pickle.dumps(failure.value))) == str(failure.value)


def test_kinds_are_looked_up_as_people_type() -> None:
    """`KINDS.named` takes any case, no prefix and aliases; `KINDS[...]` the name alone."""
    assert KINDS.named("WSD") is KINDS.named("warmup_stable_decay") is KINDS["transformers.warmup_stable_decay"]
    assert KINDS.named("custom.onecyclelr") is KINDS["custom.OneCycleLR"]
    assert "custom.onecyclelr" not in KINDS


def test_json_names_a_kind_in_any_case_and_ids_do_not_change() -> None:
    """JSON may write a kind in any case, inside of others too: the spec keeps the kind's own name, and so its id."""
    ramp = {"start": 0.1, "stop": 0.0, "length": 5}
    typed = {"kind": "SCALE", "schedule": {"kind": "ramp", **ramp}, "factor": 2}
    exact = {"kind": "Scale", "schedule": {"kind": "Ramp", **ramp}, "factor": 2}
    assert parse(typed) == parse(exact)
    specs = [json.dumps({"schedule": data, "total_steps": 5}) for data in (typed, exact)]
    assert len({Spec.model_validate_json(text).id for text in specs}) == 1


def test_json_takes_no_alias() -> None:
    """An alias in JSON, which is kept and sent, is refused, and the kind that it means is named."""
    with pytest.raises(ValueError, match=r"unknown kind 'wsd': did you mean transformers.warmup_stable_decay"):
        parse({"kind": "wsd", "base_lr": 1.0})


def test_an_error_in_another_case_names_the_kind() -> None:
    """What is wrong with the parameters of a kind in another case is told as for its own name."""
    with pytest.raises(ValueError, match=r"^custom.LinearWarmup has no parameter 'warmup': did you mean warmup_steps"):
        parse({"kind": "CUSTOM.linearwarmup", "base_lr": 1.0, "warmup": 2})
