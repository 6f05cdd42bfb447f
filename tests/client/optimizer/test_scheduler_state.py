"""Saved states of a TableLR: a good one is taken up, any other is refused before anything has changed.

`EXAMPLES=100000 python -m pytest --timeout=0 tests/client/test_scheduler_state.py` tries that many damaged ones.
"""

from __future__ import annotations

import copy
import json
import math
import os
import re
from collections.abc import Callable
from itertools import repeat
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import SGD, AdamW

from client.lr_scheduler import TableLR
from scheduler import PastEndError, Table
from tests.support.client.training import make_groups, train, values_of

EXAMPLES = int(os.environ.get("EXAMPLES", "300"))
RATES = [0.1 / (row + 1) for row in range(10)]


def plain() -> TableLR:
    return TableLR(SGD(make_groups(2), lr=1.0), Table({"lr": RATES}, after="error"))


def tensors() -> TableLR:
    return TableLR(AdamW(make_groups(2), lr=torch.tensor(1.0)), Table({"lr": RATES}))


def several_columns() -> TableLR:
    optimizer = SGD(make_groups(2), lr=1.0, momentum=0.5)
    return TableLR(optimizer, Table({"lr.0": RATES, "lr.1": RATES[::-1], "momentum": RATES}))


def relative() -> TableLR:
    first, second = make_groups(2)
    optimizer = SGD([{**first, "lr": 0.5, "weight_decay": 0.0}, {**second, "lr": 0.25, "weight_decay": 0.1}])
    return TableLR(optimizer, Table({"lr": RATES, "weight_decay": RATES}), relative=True)


def released() -> TableLR:
    return TableLR(SGD(make_groups(2), lr=1.0), Table({"lr": RATES[:2]}, after="release"))


MAKES = [plain, tensors, several_columns, relative, released]


def saved(make: Callable[[], TableLR], position: int = 4) -> dict[str, Any]:
    scheduler = make()
    scheduler.set_progress(position)
    return scheduler.state_dict()


def in_older_form(state: dict[str, Any]) -> dict[str, Any]:
    """The state of a scheduler without own values, as versions before `values` saved it: a list for each."""
    lists = {name: value if isinstance(value, list) else [value, value] for name, value in state["values"].items()}
    rest = {key: value for key, value in state.items() if key not in ("values", "groups")}
    return {**rest, "_last_lr": lists.pop("lr"), "others": lists}


def everything(scheduler: TableLR) -> Any:
    """All that a load could change, down to which objects they are."""
    groups = scheduler.optimizer.param_groups
    contents = {key: value.copy() for key, value in vars(scheduler).items() if isinstance(value, list | set | dict)}
    things = [(key, value) for thing in (vars(scheduler), *groups) for key, value in thing.items()]
    return [(key, id(value), getattr(value, "_version", 0)) for key, value in things], contents


def refuses(scheduler: TableLR, state: Any, message: str, **options: Any) -> None:
    """A load is refused with a message, and has changed nothing."""
    before = everything(scheduler)
    with pytest.raises((ValueError, PastEndError), match=message):
        scheduler.load_state_dict(state, **options)
    assert everything(scheduler) == before


NO_RATES: list[Any] = [math.nan, -1.0, math.inf, -math.inf, 1e13, "0.1", None, 1, True, [0.1], torch.tensor(0.1)]
NO_NUMBERS: list[Any] = [math.nan, math.inf, "0.9", None, 1, True, [0.9]]
NO_COUNTS: list[Any] = [-1, 2**63, 1.0, "3", None, True, [3], torch.tensor(3), math.nan]
NO_LISTS: list[Any] = [None, 0.1, "0.1", (0.1, 0.1), {0: 0.1}, [], [0.1], [0.1] * 3]
DAMAGED: dict[str, list[Any]] = {
    "last_epoch": [*NO_COUNTS, -3],
    "values": [
        *(None, [], 0.1, {}, {1: 0.1}, {"momentum": 0.9}, {"lr": 0.1, "no_such": 0.1}),
        *({"lr": values} for values in [None, "0.1", (0.1, 0.1), {0: 0.1}, [], [0.1], [0.1] * 3, True, 1, 1e13, -1.0]),
        *({"lr": [0.1, number]} for number in NO_RATES),
        *({"lr": 0.1, "momentum": number} for number in (math.nan, math.inf, "0.9", None, 1, True)),
    ],
    "_step_count": [*NO_COUNTS, 0],
    "_last_lr": [*NO_LISTS, *([0.1, number] for number in NO_RATES)],
    "others": [
        *(None, [], {1: [0.1, 0.1]}, {"lr": [0.1, 0.1]}, {"no_such": [0.1, 0.1]}),
        *({"momentum": values} for values in [*NO_LISTS, *([0.1, number] for number in NO_NUMBERS)]),
    ],
    "groups": [*NO_COUNTS, 0, 1, 3],
    "in_force": [None, 0, 1, "True"],
    "digest": [None, 7, "", "ab" * 31, "AB" * 32, "zz" * 32, b"ab" * 32],
    "axis": [None, 1, "", "steps", "sample", ["step"]],
    "stride": [*NO_COUNTS, 0],
    "relative": [None, 0, 1, "True"],
    "update_made": [None, 0, 1, "True"],
    "updates_seen": [None, 0, 1, "True"],
    "ahead": NO_COUNTS,
    "initial": [None, [], {"lr": [0.1, 0.1]}, {"lr": [0.1, math.nan]}, {"momentum": [0.9, 0.9]}],
}
DAMAGES = [(field, value) for field, values in DAMAGED.items() for value in values]


@pytest.mark.parametrize(("field", "value"), DAMAGES, ids=[f"{field}={value!r:.40}" for field, value in DAMAGES])
def test_a_damaged_field_is_refused_by_name(field: str, value: Any) -> None:
    """A field of a wrong type, out of range or unlike the table is named with its value, and nothing has changed."""
    state = in_older_form(saved(plain)) if field in ("_last_lr", "others") else saved(plain)
    refuses(plain(), {**state, field: value}, rf"as {field}\b|\({field}\b|the state counts samples")


def test_damaged_shared_values_are_refused_by_name() -> None:
    """Values saved once for several groups are refused where they are none, or where a group's place leads to none."""
    state, scheduler = saved(plain), plain()
    scheduler.load_state_dict(
        {**state, "values": {"lr": {"different": [0.25, 0.5], "places": "ba"}}, "in_force": False}
    )
    assert values_of(scheduler.optimizer) == [0.5, 0.25]
    damages: list[dict[str, Any]] = [
        *({"different": [0.1], "places": places} for places in ("ab", "a", "aaa", "", ["a", "a"], None)),
        *({"different": each, "places": "aa"} for each in ([], 0.1, "0.1", [math.nan], [1], [-1.0], None)),
        *({}, {"different": [0.1]}, {"different": [0.1], "places": "aa", "more": 1}),
    ]
    for damage in damages:
        refuses(plain(), {**state, "values": {"lr": damage}}, r"as values\['lr'\], got|\(values\['lr'\]\)")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"stride": 2},
            "the state counts steps by 2, the table steps by 1: a position in one means nothing in the other",
        ),
        ({"relative": True}, "must have the groups' own values as initial, got {}"),
        (
            {"relative": True, "initial": {"lr": [0.1, 0.1]}},
            "the state was saved with relative=True, and this scheduler has relative=False: a factor is no rate",
        ),
    ],
)
def test_a_state_that_contradicts_its_table_is_refused(changes: dict[str, Any], message: str) -> None:
    """A state with the table's digest and another stride or meaning of its values is refused, and both are named."""
    refuses(plain(), {**saved(plain), **changes}, re.escape(message))


@pytest.mark.parametrize(("field", "form"), [*zip(saved(plain), repeat(dict)), ("_last_lr", in_older_form)])
def test_a_field_that_is_not_there_is_named(field: str, form: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """A state without one of its fields is none, and says which."""
    state = form(saved(plain))
    del state[field]
    refuses(plain(), state, f"^this is not the state of a TableLR: it has no {field}$")


@pytest.mark.parametrize("state", [None, [], "state", 3, {}], ids=repr)
def test_what_is_no_state_is_refused(state: Any) -> None:
    """A state that is not a dict, or an empty one, is refused."""
    refuses(plain(), state, "this is not the state of a TableLR")


def test_a_refused_position_past_the_end_of_another_table_changes_nothing() -> None:
    """An allowed other table that ends, by an error, before the position refuses it, and nothing has changed."""
    scheduler = TableLR(SGD(make_groups(2), lr=1.0), Table({"lr": [0.5, 0.4]}, after="error"))
    refuses(scheduler, saved(plain), "step 4 is past the table's end, 2", allow_other_table=True)


def test_values_in_force_that_the_table_had_released_are_damage() -> None:
    """A state cannot say that the values past a released table's end are the table's."""
    message = "must have False past the end of a table with after='release' as in_force, got True"
    refuses(released(), {**saved(released), "in_force": True}, message)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            {"lr": [0.5, 1e12]},
            r"lr of group 1 must be from 0 to 1e\+12, got 20000000000000.0: its own 1000000000000.0 times",
        ),
        ({"weight_decay": [1e308, 0.0]}, r"weight_decay of group 0 must be finite, got inf: its own 1e\+308 times"),
    ],
)
def test_own_values_that_make_no_rate_are_refused(own: dict[str, list[float]], message: str) -> None:
    """A group's own value that, times the table's, is no rate or no number is refused with both."""

    def make() -> TableLR:
        table = Table({"lr": [20.0] * 5, "weight_decay": [20.0] * 5})
        return TableLR(SGD(make_groups(2), lr=1.0), table, relative=True)

    state = saved(make)
    state["initial"].update(own)
    refuses(make(), state, message)


@pytest.mark.parametrize("allowed", ["yes", 1.5])
def test_what_to_allow_is_true_false_or_a_table(allowed: Any) -> None:
    """`allow_other_table` of another type is refused, whatever the state."""
    with pytest.raises(TypeError, match="allow_other_table must be True, False or the old Table, got"):
        plain().load_state_dict(saved(plain), allow_other_table=allowed)


def test_a_state_of_an_earlier_version_is_taken_up() -> None:
    """A state saved before there was `relative` is one of absolute values."""
    state = saved(plain)
    del state["relative"], state["initial"]
    scheduler = plain()
    scheduler.load_state_dict(state)
    assert values_of(scheduler.optimizer) == [RATES[4]] * 2
    state = {key: value for key, value in saved(relative).items() if key not in ("relative", "initial")}
    refuses(relative(), state, "the state was saved with relative=False, and this scheduler has relative=True")


@pytest.mark.parametrize("make", [plain, tensors, several_columns, released])
def test_lists_of_an_earlier_version_are_taken_up(make: Callable[[], TableLR]) -> None:
    """A state with a list for each hyperparameter is the state that is saved more briefly now."""
    scheduler = make()
    scheduler.load_state_dict(in_older_form(saved(make)))
    assert scheduler.state_dict() == saved(make)


EARLIER = {
    **{"last_epoch": 4, "_step_count": 2, "_last_lr": [0.01, 0.005], "others": {"weight_decay": [0.0, 0.002]}},
    **{"in_force": True, "digest": "a8fed514b66b778601959ffb589fe68eb5131431a15996dd71b78c967683a085", "axis": "step"},
    **{"stride": 1, "relative": True, "initial": {"lr": [0.5, 0.25], "weight_decay": [0.0, 0.1]}},
    **{"update_made": False, "updates_seen": False, "ahead": 0},
}
"""What `relative` saved at position 4 before states had `values`."""


def test_a_saved_state_of_an_earlier_version_is_that_of_today() -> None:
    """The state that a former version saved gives the same rates, and is saved as this version does."""
    scheduler = relative()
    scheduler.load_state_dict(EARLIER)
    assert values_of(scheduler.optimizer) == [0.01, 0.005]
    assert scheduler.state_dict() == saved(relative)


def test_a_state_may_hold_more_than_we_read() -> None:
    """Keys that a subclass adds to the state are ignored."""
    scheduler = plain()
    scheduler.load_state_dict({**saved(plain), "mine": object()})
    assert scheduler.last_epoch == 4


# -- any damage -------------------------------------------------------------------------------------------------------


def listed(value: float | list[float]) -> list[float]:
    """A value of two groups, as a list."""
    return value if isinstance(value, list) else [value, value]


LISTS = st.lists(st.floats(), max_size=3)
ODD = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.binary(max_size=3)),
    *(LISTS, st.dictionaries(st.text(max_size=3), LISTS, max_size=2)),
    *(st.integers(-3, 12), st.floats(-1e-9, 1.0), st.sampled_from([2**63 - 1, -65, -64, 1e12, -0.0, 5e-324])),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a state, the whole included."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, inner in items for found in places(inner, (*path, key)))]


def damaged(state: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.copy(state)
    changed[path[0]] = damaged(changed[path[0]], path[1:], value)
    return changed


@given(
    data=st.data(),
    make=st.sampled_from(MAKES),
    position=st.integers(0, 9),
    allowed=st.sampled_from([False, False, True]),
)
@settings(max_examples=EXAMPLES)
def test_any_damage_changes_nothing_or_is_a_good_state(
    data: st.DataObject, make: Callable[[], TableLR], position: int, allowed: bool
) -> None:
    """However a state is damaged, it either changes nothing, or is a good state that is taken up as it is."""
    state = saved(make, position)
    for _ in range(data.draw(st.integers(1, 2))):
        state = damaged(state, data.draw(st.sampled_from(places(state))), data.draw(ODD))
    scheduler = make()
    before = everything(scheduler)
    try:
        scheduler.load_state_dict(state, allow_other_table=allowed)
    except (ValueError, PastEndError):
        assert everything(scheduler) == before
        return
    again = scheduler.state_dict()
    for field in ("last_epoch", "_step_count", "axis", "stride", "relative", "initial"):
        assert again[field] == state[field], field
    assert again["digest"] == scheduler.table.digest
    if state["in_force"] and again["in_force"]:
        own = listed(again["initial"]["lr"] if scheduler.relative else 1.0)
        rates = [scheduler.table.get_lr(state["last_epoch"], group=group) for group in (0, 1)]
        assert scheduler.get_last_lr() == [one * rate for one, rate in zip(own, rates, strict=True)]
    elif not state["in_force"]:
        own, rate = listed(again["initial"].get("lr", 1.0)), state["values"]["lr"]
        rates = rate if isinstance(rate, list) else [rate * one for one in own]
        assert values_of(scheduler.optimizer) == pytest.approx(rates, rel=1e-6, abs=1e-40)


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("position", [0, 1, 4, 9])
def test_a_good_state_makes_the_way_there_and_back(make: Callable[[], TableLR], position: int) -> None:
    """A state that was loaded is the state that is saved again, through JSON, too, and training goes on alike."""
    scheduler = make()
    scheduler.set_progress(position)
    state = scheduler.state_dict()
    other = make()
    other.load_state_dict(json.loads(json.dumps(state)))
    assert other.state_dict() == state
    assert other.get_last_lr() == scheduler.get_last_lr()
    rest = max(9 - position, 0)
    assert train(other.optimizer, other, rest) == train(scheduler.optimizer, scheduler, rest)
