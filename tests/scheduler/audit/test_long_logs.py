"""Logs of many rates: what is found, and that the work for each hypothesis is bounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scheduler.audit import audit, identify, planned
from scheduler.audit.fit import best
from scheduler.audit.planned import Planned, schedule_at
from scheduler.builtin import CosineAnnealingLR, CosineAnnealingWarmRestarts
from scheduler.custom import WarmupWithDecay
from scheduler.fields import Values
from scheduler.libraries import transformers
from scheduler.schedule import Schedule

COUNT = 20_000
STEPS = np.arange(COUNT)
STABLE = transformers.WarmupStableDecay(1e-3, 100, 1000, COUNT)
NOISE = np.random.default_rng(1).standard_normal(COUNT)


class Looked:
    """How many rates were computed for a log."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rates = 0
        for module in (planned, best):
            monkeypatch.setattr(module, "schedule_at", self._counted)
        read = Planned.at

        def at(known: Planned, updates: Any, *ways: Any) -> Values:
            self.rates += len(updates)
            return read(known, updates, *ways)

        monkeypatch.setattr(Planned, "at", at)

    def _counted(self, schedule: Schedule, steps: Any) -> Values:
        self.rates += len(steps)
        return schedule_at(schedule, steps)


LOGS = {
    "one rate": np.where(STEPS == COUNT // 3, 2.0, 1.0) * STABLE.values(COUNT),
    "the last rate": np.where(STEPS == COUNT - 1, 2.0, 1.0) * STABLE.values(COUNT) + 1e-9,
    "noise": STABLE.values(COUNT) * (1 + 0.01 * NOISE),
    "jumps": 3e-4 * np.where(NOISE > 0, 1.0, 0.5),
}
"""Logs of no schedule."""


@pytest.mark.parametrize("what", LOGS)
def test_a_long_log_of_no_schedule_is_soon_given_up(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No disease is named, and all rates of the log are computed for a few hypotheses alone, not for hundreds."""
    looked = Looked(monkeypatch)
    assert audit((STEPS, LOGS[what]), STABLE.table(COUNT)).disease is None
    assert looked.rates < 60 * COUNT


@pytest.mark.parametrize("what", ["one rate", "jumps"])
def test_a_long_log_gets_the_nearest_schedule(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that no schedule gives is compared in full with some of each form, not with every rounding."""
    monkeypatch.setattr(
        best, "best_lengths", lambda form, *rest: ([*map(float, range(50, 50 * len(form.searched) + 1, 50))], 1e-9)
    )
    looked = Looked(monkeypatch)
    found = identify((STEPS, LOGS[what])).columns[0].fit
    assert found is not None
    assert not found.is_exact
    assert looked.rates < 60 * COUNT


@pytest.mark.parametrize(
    "schedule",
    [
        WarmupWithDecay(3e-4, 1000, COUNT, 1e-6),
        CosineAnnealingLR(0.1, COUNT),
        CosineAnnealingWarmRestarts(0.1, 700, 2, eta_min=1e-3),
        CosineAnnealingWarmRestarts(0.1, 700),
    ],
)
def test_a_long_log_is_of_its_schedule(schedule: Schedule) -> None:
    """The schedule is fitted to some of the rates, and gives all of them."""
    found = identify((STEPS, schedule.values(COUNT))).columns[0].fit
    assert found is not None
    assert (found.schedule, found.is_exact) == (schedule, True)


@pytest.mark.parametrize("rows", [-300, 7])
def test_a_disease_of_a_long_log_is_named(rows: int) -> None:
    """What explains all of many rates is found as in a short log."""
    table = WarmupWithDecay(3e-4, 1000, COUNT).table(COUNT)
    at = np.clip(STEPS + rows * (STEPS >= 9000), 0, COUNT - 1)
    found = audit((STEPS, table.lr[at]), table)
    assert (found.disease, found.worst.diseases[0].parameters) == (
        "resumed at another row",
        {"rows": rows, "since": 9000},
    )
