"""A TableLR of a schedule: its table is made on the way; what it prints; what is said without torch."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from torch.optim import SGD

from client.lr_scheduler import TableLR
from client.pinned_table import PinnedTable
from scheduler import Schedule, ScheduleWarning, Spec, Table
from scheduler.compose import Ramp
from scheduler.custom import LinearWarmup, WarmupWithDecay
from tests.support.client.tables import make_sgd
from tests.support.client.training import make_groups, record_rates, update

SCHEDULE = WarmupWithDecay(5e-4, 2, 8)
MODULE = Path(__file__).parents[3] / "client" / "lr_scheduler.py"


@pytest.mark.parametrize(
    ("given", "total_steps", "table"),
    [
        (SCHEDULE, 8, SCHEDULE.table(8)),
        (SCHEDULE, None, SCHEDULE.table(8)),
        (LinearWarmup(0.1, 2), 8, LinearWarmup(0.1, 2).table(8)),
        (Spec(schedule=SCHEDULE, total_steps=8, after="error"), None, SCHEDULE.table(8, after="error")),
        (SCHEDULE.table(8), 8, SCHEDULE.table(8)),
    ],
    ids=["schedule", "stated-length", "no-length", "spec", "table"],
)
def test_a_schedule_needs_no_table(given: Any, total_steps: int | None, table: Table) -> None:
    """A schedule and its length, or a spec, give the updates that its table gives."""
    optimizer = make_sgd()
    applied = record_rates(optimizer)
    scheduler = TableLR(optimizer, given, total_steps)
    for _ in range(8):
        update(optimizer)
        scheduler.step()
    assert applied == [*table]
    assert scheduler.table == table
    assert not hasattr(scheduler, "total_steps")  # Accelerate would step up to it, once per process


@pytest.mark.parametrize(
    ("given", "total_steps", "message"),
    [
        (
            LinearWarmup(0.1, 2),
            None,
            "total_steps is needed: custom.LinearWarmup has no end of its own",
        ),
        (SCHEDULE.table(8), 9, "total_steps is for a schedule: this table has 8 rows, got 9"),
        (PinnedTable(SCHEDULE.table(8)), 9, "this table has 8 rows, got 9"),
        (Spec(schedule=SCHEDULE, total_steps=8), "8", "this spec has 8 rows, got '8'"),
        (SCHEDULE, 0, "total_steps must be"),
    ],
)
def test_a_length_that_contradicts_is_refused(given: Any, total_steps: Any, message: str) -> None:
    """A missing length, and one that the table does not have, are errors before anything is written."""
    optimizer = SGD(make_groups(1), lr=1.0)
    with pytest.raises(ValueError, match=message):
        TableLR(optimizer, given, total_steps)
    assert optimizer.param_groups[0]["lr"] == 1.0


@pytest.mark.parametrize("given", [SCHEDULE, Spec(schedule=SCHEDULE, total_steps=4)], ids=["schedule", "spec"])
def test_a_schedules_warning_names_the_users_line(given: Schedule | Spec) -> None:
    """A schedule that is cut off is warned of where the TableLR is made."""
    with pytest.warns(ScheduleWarning, match="made for 8 steps and gets 4") as warned:
        TableLR(make_sgd(), given, 4)
    assert [Path(warning.filename).name for warning in warned] == [Path(__file__).name]


def test_its_repr_says_where_it_is() -> None:
    """Position, length, the rates now in the optimizer, the table, and the run where there is one."""
    table = SCHEDULE.table(8)
    optimizer = make_sgd()
    scheduler = TableLR(optimizer, PinnedTable(table, run="team/run", version=3))
    assert repr(scheduler) == f"<TableLR at step 0 of 8, lr 0.00025, table {table.digest[:12]} of team/run v3>"
    update(optimizer)
    scheduler.step()
    assert repr(scheduler).startswith("<TableLR at step 1 of 8, lr 0.0005, table ")
    groups = Spec(schedule=[Ramp(0.1 * n, 0.0, 10) for n in range(1, 7)], total_steps=10).table()
    assert ", lr 0.1, 0.2, 0.3, 0.4, ..., table " in repr(TableLR(SGD(make_groups(6), lr=1.0), groups))


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The light install has no torch: the import says which extra brings it."""
    spec = importlib.util.spec_from_file_location("without_torch", MODULE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "torch", None)
        with pytest.raises(ImportError, match=r"^TableLR needs PyTorch: pip install 'lrtables\[torch\]'$") as caught:
            spec.loader.exec_module(module)
    assert caught.value.name == "torch"
