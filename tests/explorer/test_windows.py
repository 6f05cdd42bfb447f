"""A window of a table has the bits of the whole one."""

import json

from scheduler.compose import Power, Ramp
from scheduler.custom import CyclicLR, WarmupWithDecay
from tests.explorer.node import run
from tests.explorer.specs import ALL, drawn
from tests.support.node import KERNEL

LONG = [
    WarmupWithDecay(5e-4, 10_000, 10**10),
    Ramp(0.1, 1e-3, 10**9, "geometric"),
    Ramp(0.1, 1e-3, 10**9, "tanh"),
    Power(1e-3, -0.51, 100.0),
    CyclicLR(1e-4, 1e-1, 10**8, mode="exp_range"),
]


def test_a_window_has_the_bits_of_the_whole_table() -> None:
    """Values do not depend on the window that is computed, as a page does when it zooms: for any kind."""
    specs = [each.data for each in drawn(ALL, 100, number=7)]
    lines = "".join(json.dumps(spec) + "\n" for spec in specs)
    differing = json.loads(run("windows.mjs", str(KERNEL), text=lines))
    assert [(windows, spec) for windows, spec in zip(differing, specs, strict=True) if windows] == []


def test_a_window_far_into_a_long_table_has_the_bits_of_python() -> None:
    """A few steps in the middle of a schedule of up to 10**10 steps are Python's."""
    asked = [{"schedule": schedule.to_dict(), "total_steps": 10**10, "start": 10**8 - 100} for schedule in LONG]
    found = json.loads(run("values.mjs", str(KERNEL), text=json.dumps(asked)))
    assert found == [[schedule.get_lr(10**8 - 100 + step) for step in range(200)] for schedule in LONG]
