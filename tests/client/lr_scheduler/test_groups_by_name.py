"""Which columns a parameter group gets: by its name, and what becomes of one that is added later."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.optim import SGD

from client.lr_scheduler import TableLR
from scheduler import Table
from tests.support.client.tables import RATES, make_sgd, make_table, per_group_table, rates_in_force
from tests.support.client.training import make_groups, through_file, train, update, values_of

HEAD, BODY, NEW = ([rate * factor for rate in RATES] for factor in (1.0, 0.5, 0.25))
TWO = Table({"lr.0": HEAD, "lr.1": BODY})


def named(*names: str) -> SGD:
    return SGD([{**group, "name": name} for group, name in zip(make_groups(len(names)), names, strict=True)], lr=1.0)


def new_group(**options: Any) -> dict[str, Any]:
    return {"params": [torch.nn.Parameter(torch.ones(3))], **options}


@pytest.mark.parametrize("order", [("head", "body"), ("body", "head")])
def test_columns_go_to_the_groups_that_are_named(order: tuple[str, str]) -> None:
    """Column k belongs to the k-th name, wherever the optimizer has the group of that name, a resume included."""
    optimizer = named(*order)
    scheduler = TableLR(optimizer, TWO, groups=["head", "body"])
    expected = [[(HEAD if name == "head" else BODY)[row] for name in order] for row in range(6)]
    assert train(optimizer, scheduler, 3) == expected[:3]
    states = through_file((optimizer.state_dict(), scheduler.state_dict()))
    optimizer = named(*order)
    scheduler = TableLR(optimizer, TWO, groups=("head", "body"))
    scheduler.load_state_dict(states[1])
    optimizer.load_state_dict(states[0])
    assert train(*copy.deepcopy((optimizer, scheduler)), 3) == train(optimizer, scheduler, 3) == expected[3:6]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("head", "neck"),
            r"groups names head, body, .* named 'head', 'neck' \(missing: body; not among them: 'neck'\)",
        ),
        (("head",), r"groups are named 'head' \(missing: body\)"),
        (("head", "body", "tail"), r"\(not among them: 'tail'\)"),
        (("head", "body", "body"), r"\(more than once: body\)"),
    ],
)
def test_names_that_do_not_match_are_listed(names: tuple[str, ...], message: str) -> None:
    """A group that is missing, not named or there twice is an error that lists both sides."""
    with pytest.raises(ValueError, match=message):
        TableLR(named(*names), TWO, groups=["head", "body"])


@pytest.mark.parametrize(
    ("table", "groups", "error", "message"),
    [
        (TWO, ["head"], ValueError, r"groups has 1 names \(head\), the table values for 2"),
        (TWO, ["head", "head"], ValueError, "groups must be different names, got head, head"),
        (TWO, "ab", TypeError, "groups must be the names of parameter groups, got 'ab'"),
        (TWO, [0, 1], TypeError, r"groups must be the names of parameter groups, got \[0, 1\]"),
        (make_table(), ["head"], ValueError, "this table's columns are for all groups"),
    ],
)
def test_names_that_are_none_are_refused(table: Table, groups: Any, error: type[Exception], message: str) -> None:
    """Names must be different texts, as many as the table has groups."""
    with pytest.raises(error, match=message):
        TableLR(named("head", "body"), table, groups=groups)


@pytest.mark.parametrize(
    ("table", "options", "column"),
    [
        (make_table(), {}, RATES),
        (make_table(), {"on_new_group": "adopt"}, RATES),
        (TWO, {"on_new_group": "adopt"}, BODY),
        (TWO, {"on_new_group": 0}, HEAD),
        (TWO, {"on_new_group": "head", "groups": ["head", "body"]}, HEAD),
    ],
)
def test_a_new_group_gets_the_columns_that_were_named(table: Table, options: Any, column: list[float]) -> None:
    """A group added in mid-run gets its columns from the next step on, and a resumed run has them from the start."""
    optimizer = named("head", "body")
    scheduler = TableLR(optimizer, table, **options)
    rates_in_force(optimizer, scheduler, 2)
    optimizer.add_param_group(new_group(name="tail"))
    update(optimizer)
    scheduler.step()
    assert [rates[2] for rates in train(optimizer, scheduler, 2)] == column[3:5]
    states = through_file((optimizer.state_dict(), scheduler.state_dict()))
    optimizer = named("head", "body", "tail")
    scheduler = TableLR(optimizer, table, **options)
    optimizer.load_state_dict(states[0])
    scheduler.load_state_dict(states[1])
    assert [rates[2] for rates in train(optimizer, scheduler, 2)] == column[5:7]


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (
            make_table(),
            {"on_new_group": "error"},
            r"has 2 parameter groups \(0: 1 .*, it had 1, and on_new_group='error'",
        ),
        (per_group_table(1), {}, r"the table has values for 1 parameter groups \(lr.0\), the optimizer has 2 \(0: 1"),
        (per_group_table(1), {"on_new_group": "error"}, "the optimizer has 2"),
    ],
)
def test_a_new_group_can_be_an_error(table: Table, options: Any, message: str) -> None:
    """Where a new group is to be an error, or nothing says what it gets, the next step is one, and so is each later."""
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, table, **options)
    rates_in_force(optimizer, scheduler, 2)
    optimizer.add_param_group(new_group())
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            rates_in_force(optimizer, scheduler, 1)
    assert values_of(optimizer)[0] == RATES[2]


@pytest.mark.parametrize(
    ("table", "policy", "message"),
    [
        (TWO, 2, r"the number of a group's columns \(0 to 1\), got 2"),
        (TWO, "head", r"\(0 to 1\), got 'head'"),
        (TWO, 0.0, "got 0.0"),
        (TWO, True, "got True"),
        (make_table(), 0, r"\(none, because all groups share them\), got 0"),
    ],
)
def test_a_policy_that_means_nothing_is_refused(table: Table, policy: Any, message: str) -> None:
    """`on_new_group` names columns that there are."""
    with pytest.raises(ValueError, match=f"on_new_group must be 'error', 'adopt' or .*{message}"):
        TableLR(make_sgd(2), table, on_new_group=policy)


def test_a_longer_table_keeps_names_and_policy() -> None:
    """`replace_table` binds the new table's columns as the old one's."""
    optimizer = named("body", "head", "tail")
    scheduler = TableLR(optimizer, TWO, groups=["head", "body"], on_new_group="body")
    train(optimizer, scheduler, 2)
    scheduler.replace_table(Table({"lr.0": [*HEAD, 0.5], "lr.1": [*BODY, 0.25]}))
    assert train(optimizer, scheduler, 9)[-1] == [0.25, 0.5, 0.25]
