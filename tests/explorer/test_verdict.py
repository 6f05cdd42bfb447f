"""The page compares as `lrtables compare` does, and its picture loses no row."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scheduler import Table
from scheduler.compose import Constant, Ramp, Sequence
from scheduler.custom import CosineAnnealingWarmRestarts, CyclicLR, WarmupWithDecay
from scheduler.views.compare import compare
from scheduler.views.difference import difference
from scheduler.views.verdict import verdict
from tests.explorer.node import run
from tests.support.node import node
from tests.support.schedules.tails import TAILS

STEPS = 600
SCRIPT = Path(__file__).with_name("verdict.mjs")


def pairs() -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Columns that are equal, nearly so, late, early, scaled, of another kind, and combinations of these."""
    schedules = [
        WarmupWithDecay(1e-3, 50, STEPS),
        CyclicLR(1e-4, 1e-2, 40),
        CosineAnnealingWarmRestarts(0.1, 0.0, 100),
        Sequence([Ramp(0.0, 1e-3, 60), Constant(1e-3), Ramp(1e-3, 0.0, 100, "1-sqrt")], [60, 440, 100]),
        Constant(1e-3),
    ]
    columns = [schedule.columns(STEPS)["lr"] for schedule in schedules]
    made = [(a, b) for a in columns for b in columns]
    for a in columns:
        made += [(a, a * factor) for factor in (4.0, 0.1, -1.0, 1e-300, 1 + 1e-12)]
        made += [(a, np.roll(a, shift)) for shift in (1, -1, 7, -40, 100)]
        made += [(a, np.concatenate([a[:1], a[:-1]])), (a, np.concatenate([a[1:], a[-1:]]))]
        made += [(a, np.concatenate([a[:300], a[300:] * 2])), (a, np.where(np.arange(STEPS) == 77, 0.0, a))]
        made += [
            (a, np.where(a < 1e-4, a * 1e-18, a)),
            (np.where(a < 1e-4, a * 1e-20, a), np.where(a < 1e-4, a * 1e-18, a)),
        ]
        made += [
            (a - a.max(), a * 3 - 3 * a.max()),
            (1 + a - 1, a),
            (a * 1e-17 + (np.arange(STEPS) == 5), a * 2e-17 + (np.arange(STEPS) == 5)),
        ]
        made += [(a, np.nextafter(a, 1.0)), (a, -a), (np.zeros(STEPS), a), (a[:2], a[:2] * 3), (a[:1], a[1:2])]
    made += [(np.array(a, float), np.array(b, float)) for a, b, _ in TAILS]
    return made


def test_the_page_and_python_say_the_same_of_two_columns() -> None:
    """Relation, factor, shift and steps are those of `scheduler.views.verdict`; differences are equal, too."""
    columns = pairs()
    lines = "".join(json.dumps([a.tolist(), b.tolist()]) + "\n" for a, b in columns)
    done = subprocess.run([str(node()), str(SCRIPT)], input=lines, capture_output=True, text=True, check=True)
    for (a, b), line in zip(columns, done.stdout.splitlines(), strict=True):
        said: dict[str, Any] = json.loads(line)
        expected_verdict = verdict(a, b)
        assert said["verdict"] == expected_verdict.to_dict(), (a, b)
        if expected_verdict.difference.ulp <= 2**53:
            assert said["words"] == str(expected_verdict), (a, b)
        found, own = difference(a, b), said["difference"]
        expected = [found.differing, found.first, found.largest, found.relative, found.zeros]
        assert [own["differing"], own["first"], own["absolute"], own["relative"], own["zeros"]] == [
            -1 if value is None else value for value in expected
        ]
        assert own["ulp"] == found.ulp if found.ulp <= 2**53 else np.isclose(own["ulp"], found.ulp)


def test_the_page_compares_the_columns_that_python_compares() -> None:
    """Groups, columns of one side alone, and one for all groups: the pairs, their order and what is lacking."""
    left = {f"lr.{group}": [group + 1.0, 2.0] for group in range(11)} | {"momentum": [0.5, 0.5], "beta1": [0.9, 0.9]}
    right = {"lr": [1.0, 3.0], "momentum.0": [0.5, 0.5], "momentum.1": [0.5, 0.25], "weight_decay": [0.1, 0.1]}
    for a, b in ((left, right), (right, left), (right, right)):
        tables = [Table({name: np.array(values) for name, values in side.items()}) for side in (a, b)]
        expected = compare(tables[0], tables[1])
        pairs = [[name, *(values.tolist() for values in pair)] for name, pair in expected.pairs.items()]
        lacking = [line for line in expected.others if line.startswith("only")]
        assert json.loads(run("pairs.mjs", text=json.dumps([a, b]))) == [pairs, lacking]


def test_the_extremes_of_any_rows_are_those_of_each_row() -> None:
    """What a pixel column shows is the lowest and the highest of its rows, wherever it begins and ends."""
    done = subprocess.run(
        [str(node()), str(SCRIPT.with_name("decimate.mjs"))], capture_output=True, text=True, check=True
    )
    assert done.stdout == "0\n"
