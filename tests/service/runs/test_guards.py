"""What a change does to a table, measured in memory and in the store alike."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler import Table
from service.database.runs.rows import RunRow
from service.runs.guards import TableChange, broken_rules, measure
from service.runs.pictures import picture_of_change
from tests.service.conftest import MakeClient
from tests.support.runs import amend, create, spec

OLD = Table({"lr": [1.0, 0.5, 0.25, 0.125], "weight_decay": [9.0, 9.0, 9.0, 9.0]})


@pytest.mark.parametrize(
    ("rates", "from_step", "expected"),
    [
        ([1.0, 0.5, 0.5, 0.1], None, TableChange(2, 2, 0.1, 0.5, 2.0, 1)),
        ([1.0, 0.5, 0.5, 0.1], 1, TableChange(2, 1, 0.1, 0.5, 2.0, 1)),
        ([1.0, 0.5, 0.25, 0.125], 1, TableChange(None, 1, 0.125, 0.5, 1.0, 1)),
        ([1.0, 0.5, 0.25, 0.125], None, TableChange(None, 4, None, None, 1.0, 1)),
        ([1.0, 0.5, 0.0, 0.0], None, TableChange(2, 2, 0.0, 0.0, 1.0, 1)),
        ([1.0, 0.5], None, TableChange(2, 2, None, None, 1.0, 1)),
        ([1.0, 0.5, 0.25, 0.125, 7.0], 3, TableChange(4, 3, 0.125, 7.0, 1.0, 1)),
    ],
)
def test_a_change_is_measured_from_its_step_on(
    rates: list[float], from_step: int | None, expected: TableChange
) -> None:
    """Least and largest rate, and the factor, are those of the rows from the step on; other columns have no part."""
    new = Table({"lr": rates, "weight_decay": [9.0] * len(rates)})
    assert measure(OLD, new, from_step) == expected


def test_each_broken_rule_is_named() -> None:
    """All rules that a change breaks are told, not only the first; an infinite factor is a number in JSON."""
    rules: dict[str, Any] = {"min_lr": 0.1, "max_lr": 1, "max_factor": 2, "cooloff_seconds": 60}
    run = RunRow("team-a", "bert", 1, "0" * 64, None, {}, rules, 0, 0, 0.0, 1000.0)
    change = TableChange(5, 5, 0.0, 2.0, float("inf"), 1)
    assert [(each.rule, each.limit, each.value) for each in broken_rules(run, change, 1030.0)] == [
        ("cooloff_seconds", 60, 30.0),
        ("min_lr", 0.1, 0.0),
        ("max_lr", 1, 2.0),
        ("max_factor", 2, 1e300),
    ]
    assert [each.rule for each in broken_rules(run, None, 1030.0)] == ["cooloff_seconds"]
    fine = TableChange(5, 5, 0.1, 1.0, 2.0, 1)
    assert list(broken_rules(run, fine, 1060.0)) == []


def test_a_long_table_is_drawn_with_its_extremes() -> None:
    """A single row that stands out is drawn, however long the table is."""
    rates = [0.5] * 50_000
    spike = [*rates]
    spike[33_333] = 1.0
    flat, drawn = (
        picture_of_change(Table({"lr": rates}), Table({"lr": each}), 30_000, title="x") for each in (rates, spike)
    )
    assert len(drawn) > len(flat)
    assert "from step 30,000" in drawn


def test_tables_that_stay_in_the_store_are_amended(make_client: MakeClient) -> None:
    """Where tables are streamed, the change is proven, measured and drawn from what is read in pieces."""
    client = make_client(stream_bytes=100)
    create(client, spec=spec(20_000), rules={"max_factor": 2.0})
    hold = {"template": "hold", "from_step": 15_000}
    found = amend(client, 1, hold, dry_run=True).json()
    assert (found["first_step"], found["refusals"][0]["rule"]) == (15_001, "max_factor")
    assert found["last_steps"]["lr"] > 0.1
    assert "<path" in found["picture"]
    assert amend(client, 1, {**hold, "from_step": 19_000}).status_code == 201
