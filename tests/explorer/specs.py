"""Random specs of every kind, each with what Python says of it."""

from __future__ import annotations

import itertools
import json
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from scheduler import KINDS, Schedule, Spec, Table, TableError
from tests.support.schedules.strategies import MAX_STEPS, schedules

ALIKE = 20
"""Examples more than are needed: each draw begins with the simplest, which others have drawn."""

COLUMNS = ("weight_decay", "beta2", "eps")


class Drawn(NamedTuple):
    """A spec as JSON data, and its table."""

    data: dict[str, Any]
    spec: Spec
    table: Table


def drawn(kinds: list[str], count: int, *, number: int = 0) -> list[Drawn]:
    """So many specs of these kinds, no two alike; another `number`, up to a thousand, gives others."""
    found: dict[str, Drawn] = {}
    for turn in itertools.count():
        collect(found, kinds, count + ALIKE, 1000 * turn + number)
        if len(found) >= count:
            return list(found.values())[:count]
    raise AssertionError("there is no last turn")


def collect(found: dict[str, Drawn], kinds: list[str], count: int, number: int) -> None:
    """Draw so many specs, and add those that have a table to those that are found, by their canonical JSON."""

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(specs(kinds))
    def add(data: dict[str, Any]) -> None:
        spec = Spec.model_validate_json(json.dumps(data))
        try:
            found[spec.canonical()] = Drawn(data, spec, spec.table())
        except TableError:
            assume(False)

    add()


@st.composite
def specs(draw: st.DrawFn, kinds: list[str]) -> dict[str, Any]:
    """A spec as JSON data: most with one schedule, some with groups, other columns and another layout."""
    schedule = draw(st.sampled_from(kinds).flatmap(lambda kind: schedules(kind, depth=2)))
    data: dict[str, Any] = {"schedule": schedule.to_dict(), "total_steps": draw(lengths(schedule))}
    if draw(st.integers(0, 4)) == 0:
        data |= {
            "axis": draw(st.sampled_from(["step", "epoch", "sample", "token"])),
            "stride": draw(st.integers(1, 10**10)),
            "after": draw(st.sampled_from(["hold", "error", "release"])),
        }
    if draw(st.integers(0, 4)) == 0:
        groups = draw(st.integers(1, 11))
        data["schedule"] = [data["schedule"]] * groups
        name = draw(st.sampled_from([name for name in COLUMNS if name not in schedule.column_names]))
        ramp = {"kind": "Ramp", "start": draw(st.floats(0, 1)), "stop": 1, "length": 100.0}
        data["columns"] = {name: draw(st.sampled_from([ramp, [ramp] * groups]))}
    return data


def lengths(schedule: Schedule) -> st.SearchStrategy[int]:
    """Lengths of a table of this schedule, which is over at the latest where the schedule is."""
    longest = min(schedule.end or 2 * MAX_STEPS, 2 * MAX_STEPS)
    return st.one_of(st.just(longest), st.integers(1, longest))


ALL = [kind for kind in KINDS if kind != "Literal"]
"""Every kind. A Literal is drawn as a part of others only: alone, one that names a table has no values."""
