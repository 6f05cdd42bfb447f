"""Whether a response is that to the question: nothing wrong is taken, nothing right is refused, and it costs little."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

import client.verification
from client import Client, DigestMismatchError, UnexpectedResponseError
from client.verification import check_manifest, check_table
from scheduler import KINDS, Schedule, Spec, Table, TableError
from scheduler.builtin import CosineAnnealingLR, ExponentialLR, MultiStepLR, OneCycleLR, PolynomialLR
from scheduler.builtin.stepped import Timeline
from scheduler.compose import Clamp, Constant, Product, Ramp, Sequence, Shift
from scheduler.compose.literal import Literal
from scheduler.custom import LinearWarmup, WarmupWithDecay
from scheduler.libraries.transformers import Cosine, InverseSqrt, Polynomial
from scheduler.named_tables import resolved
from scheduler.numerics import libm
from tests.client import hostile
from tests.support.client.hostile_server import hostile_server, response
from tests.support.client.table_files import manifest_of
from tests.support.schedules.strategies import schedules

LARGE = 1_000_000
SPEC = Spec(schedule=WarmupWithDecay(5e-4, 100, 1000, min_lr=1e-6), total_steps=1000)

relaxed = settings(max_examples=10, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])


def test_no_lie_is_taken() -> None:
    """Of hundreds of consistent lies in manifest, layout, file and HTTP none is accepted; each is a ClientError."""
    ends = hostile.run(int(os.environ.get("LRTABLES_LIES", "400")), seed=7)
    assert [end for end in ends if end.startswith(("taken", "leaked"))] == []
    assert sum(number for end, number in ends.items() if end.startswith("refused")) > 300


# -- manifests --------------------------------------------------------------------------------------------------------


def change(data: Any, place: str, value: Any) -> None:
    *path, last = place.split("/")
    for part in path:
        data = data[int(part) if isinstance(data, list) else part]
    data[last] = value


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("spec/schedule/base_lr", 0.1, "/spec/schedule/base_lr: asked for 0.0005, got 0.1"),
        ("spec/schedule/kind", "Ramp", "/spec/schedule/kind: asked for 'custom.WarmupWithDecay', got 'Ramp'"),
        ("spec/schedule/extra", 1, "/spec/schedule/extra: got 1, which was not asked for"),
        ("spec/schedule", [1], "/spec/schedule: asked for an object, got a list"),
        ("spec/total_steps", True, "/spec/total_steps: asked for 1000, got True"),
        ("spec", None, "/spec: asked for an object, got None"),
        ("total_steps", 999, "/total_steps: asked for 1000, got 999"),
        ("axis", "token", "/axis: asked for 'step', got 'token'"),
        ("stride", 2, "/stride: asked for 1, got 2"),
        ("after", "release", "/after: asked for 'hold', got 'release'"),
        ("columns", {"momentum": {}}, "/columns/0: asked for 'lr', got 'momentum'"),
        ("columns", {"lr": {}, "beta1": {}}, "/columns/0: asked for 'lr', got 'beta1'"),
        ("columns", None, "/columns: asked for a list, got None"),
        ("nbytes", 8, "/nbytes: asked for 8000, got 8"),
        ("spec_id", "0" * 64, "though the spec is the same: .* different revisions of a kind"),
        ("spec_id", None, "/spec_id: asked for .*, got None"),
    ],
)
def test_a_manifest_of_another_spec_is_refused_by_its_first_difference(place: str, value: Any, said: str) -> None:
    """The error names the first field that is not what was asked for, what was, and what came."""
    manifest = manifest_of(SPEC, "0" * 64)
    check_manifest(manifest, SPEC)
    change(manifest, place, value)
    with pytest.raises(UnexpectedResponseError, match=f"the manifest is not that of the spec: .*{said}"):
        check_manifest(manifest, SPEC)


def test_another_spelling_of_the_same_spec_is_the_same() -> None:
    """1.0 for 1 and another order of the fields are the same JSON data; a field that is missing is not."""
    spec = Spec(schedule=Constant(1.0), total_steps=5)
    manifest = json.loads(json.dumps(manifest_of(spec, "0" * 64)))
    manifest["spec"]["schedule"]["value"] = 1
    manifest["spec"] = dict(reversed(manifest["spec"].items()))
    check_manifest(manifest, spec)
    del manifest["spec"]["after"]
    with pytest.raises(UnexpectedResponseError, match="/spec/after: asked for 'hold', got nothing"):
        check_manifest(manifest, spec)


# -- layouts and values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"axis": "token"}, "axis is token, not step"),
        ({"stride": 2}, "stride is 2, not 1"),
        ({"after": "error"}, "after is error, not hold"),
    ],
)
def test_another_frame_is_refused(changes: dict[str, Any], said: str) -> None:
    """The right values on another axis, or with another stride or end, are another table."""
    table = Table(dict(Table.compute(SPEC).columns), **changes)
    with pytest.raises(DigestMismatchError, match=f"is not that of the spec: {said}"):
        check_table(table, SPEC, every_row=False)


def test_other_columns_and_lengths_are_refused() -> None:
    """A table has exactly the columns and the rows that were asked for."""
    values = Table.compute(SPEC).lr
    for table, said in [
        (Table({"momentum": values}), "columns is .*momentum"),
        (Table({"lr": values, "beta1": values}), "columns is .*beta1"),
        (Table({"lr": values[:-1]}), "total_steps is 999, not 1000"),
    ]:
        with pytest.raises(DigestMismatchError, match=said):
            check_table(table, SPEC, every_row=False)


@pytest.mark.parametrize("kind", sorted(KINDS))
@given(data=st.data())
@relaxed
@pytest.mark.filterwarnings("ignore::scheduler.ScheduleWarning")
def test_what_was_computed_is_taken_and_what_was_changed_is_not(kind: str, data: st.DataObject) -> None:
    """For every kind: its own table is right by both ways of looking, and with a changed row it is wrong."""
    schedule: Schedule = data.draw(schedules(kind))
    spec = Spec(schedule=schedule, total_steps=min(data.draw(st.integers(1, 2000)), schedule.end or 2000))
    try:
        table = Table.compute(spec)
    except TableError:  # torch's own combinations can fall below 0, which no table holds
        reject()
    for every_row in (False, True):
        check_table(table, spec, every_row=every_row)
    columns = {name: np.array(values) for name, values in table.columns.items()}
    name, row = data.draw(st.sampled_from(sorted(columns))), data.draw(st.integers(0, spec.total_steps - 1))
    largest = np.abs(columns[name]).max()
    away = 1.0 if columns[name][row] < largest / 2 else -1.0  # not out of the range of a rate
    columns[name][row] += away * 1e-6 * max(largest, 1e-3)
    assume(columns[name][row] != table.columns[name][row])
    with pytest.raises(DigestMismatchError, match=rf"{name} of row {row} is "):
        check_table(Table(columns), spec, every_row=False)


TWINS = [
    CosineAnnealingLR(0.1, 2000, eta_min=1e-5),
    PolynomialLR(0.1, 2000, power=1.7),
    ExponentialLR(0.1, 0.999),
    OneCycleLR(0.1, 2000),
    Cosine(1e-3, 100, 2000),
    InverseSqrt(1e-3, 100),
    Polynomial(1e-3, 100, 2000, power=2.3),
]


@pytest.mark.parametrize("schedule", TWINS, ids=lambda schedule: schedule.kind)
def test_a_twin_of_another_c_library_is_taken(monkeypatch: pytest.MonkeyPatch, schedule: Schedule) -> None:
    """A table made where every result of the C library is an ULP off, at random, is right; one further off is not."""
    spec = Spec(schedule=schedule, total_steps=2000)
    noise = np.random.default_rng(1)

    def shaken(function: Callable[..., Any]) -> Callable[..., Any]:
        def other(*arguments: Any, out: Any = None, **keywords: Any) -> Any:
            result = function(*arguments, **keywords) if out is None else function(*arguments, out=out, **keywords)
            if isinstance(result, np.ndarray):
                result += noise.integers(-1, 2, result.shape) * np.spacing(result)
                return result
            return result + noise.integers(-1, 2) * math.ulp(result) if isinstance(result, float) else result

        return other

    libm.check_platform()
    right = Table.compute(spec)
    with monkeypatch.context() as patch:
        for owner, name in [(np, "cos"), (np, "sin"), (math, "pow"), (math, "exp"), (math, "cos")]:
            patch.setattr(owner, name, shaken(getattr(owner, name)))
        other = Table.compute(Spec.model_validate_json(spec.model_dump_json()))
    check_table(other, spec, every_row=True)
    columns = {name: np.array(values) for name, values in right.columns.items()}
    columns["lr"][700] *= 1 + 1e-9
    with pytest.raises(DigestMismatchError, match="lr of row 700 is"):
        check_table(Table(columns), spec, every_row=True)


def test_a_part_that_leaves_the_floats_is_computed_as_the_table_is() -> None:
    """Growth without bound inside a `Clamp` is a table, and no warning when its rows are computed again."""
    spec = Spec(schedule=Clamp(ExponentialLR(1e-5, 1000.0), high=1.0), total_steps=200)
    for every_row in (False, True):
        check_table(Table.compute(spec), spec, every_row=every_row)


@pytest.mark.parametrize("every_row", [False, True])
def test_nothing_is_the_table_of_a_schedule_that_leaves_the_range_of_rates(every_row: bool) -> None:
    """Where rates become infinite, or 1e300, a bound in ULP of the largest would take any table; none is taken."""
    for steps in (300, 2000):
        spec = Spec(schedule=ExponentialLR(0.1, 10.0), total_steps=steps)
        with pytest.raises(DigestMismatchError, match=r"lr of row 0 is 0\.5, and 0\.1 computed here"):
            check_table(Table({"lr": np.full(steps, 0.5)}), spec, every_row=every_row)


def test_a_portable_value_is_compared_to_its_last_bit() -> None:
    """One ULP in one row of a portable table is another table."""
    values = np.array(Table.compute(SPEC).lr)
    values[500] = np.nextafter(values[500], 1)
    with pytest.raises(DigestMismatchError, match="lr of row 500 is"):
        check_table(Table({"lr": values}), SPEC, every_row=False)


# -- large tables -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large() -> tuple[Spec, Table]:
    parts = [LinearWarmup(1e-3, 2000), Constant(1e-3), Ramp("previous", 0.0, 400_000, "cosine")]
    spec = Spec(schedule=Sequence(parts, [2000, 598_000, 400_000]), total_steps=LARGE)
    return spec, Table.compute(spec)


@pytest.mark.parametrize("row", [0, 1, 1999, 2000, 2001, 599_999, 600_000, 600_001, LARGE - 2, LARGE - 1])
def test_a_wrong_row_at_a_boundary_of_a_large_table_is_found(large: tuple[Spec, Table], row: int) -> None:
    """The rows around each boundary of the schedule are compared, the first and the last among them."""
    spec, table = large
    values = np.array(table.lr)
    values[row] += 1e-12
    with pytest.raises(DigestMismatchError, match=f"lr of row {row} is"):
        check_table(Table({"lr": values}), spec, every_row=False)


def test_another_shape_between_the_same_ends_is_found(large: tuple[Spec, Table]) -> None:
    """A large table with another curve between its boundaries is found by rows that no one can foresee."""
    spec, table = large
    values = np.array(table.lr)
    values[3000:590_000] *= 1 + 1e-9
    with pytest.raises(DigestMismatchError, match="is not that of the spec: lr of row"):
        check_table(Table({"lr": values}), spec, every_row=False)


def test_one_wrong_row_anywhere_is_found_by_a_full_comparison(large: tuple[Spec, Table]) -> None:
    """A single row far from every boundary is what `full` is for."""
    spec, table = large
    values = np.array(table.lr)
    values[123_457] += 1e-12
    with pytest.raises(DigestMismatchError, match="lr of row 123457 is"):
        check_table(Table({"lr": values}), spec, every_row=True)


def computed_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with how many rows are computed at a time, and how many steps torch's twins take for them."""
    counts: list[int] = []
    real, stepped = client.verification._computed, Timeline._run

    def computed(schedule: Schedule, column: str, windows: list[range]) -> Any:
        counts.append(sum(map(len, windows)))
        return real(schedule, column, windows)

    def run(timeline: Timeline, out: Any, lr: float, start: int) -> float:
        counts.append(len(out))
        return stepped(timeline, out, lr, start)

    monkeypatch.setattr(client.verification, "_computed", computed)
    monkeypatch.setattr(Timeline, "_run", run)
    return counts


@pytest.mark.parametrize(
    ("spec", "most"),
    [
        pytest.param(Spec(schedule=Cosine(1e-3, 9, LARGE), total_steps=LARGE), 300, id="few-boundaries"),
        pytest.param(
            Spec(schedule=Sequence([Constant(1e-3)] * 1000, [1000] * 1000), total_steps=LARGE), 300, id="many-parts"
        ),
        pytest.param(
            Spec(schedule=tuple(WarmupWithDecay(1e-3, 9, LARGE) for _ in range(100)), total_steps=100_000),
            30_000,
            id="many-groups",
        ),
        pytest.param(Spec(schedule=ExponentialLR(0.1, 1 - 1e-6), total_steps=LARGE), 3 * LARGE, id="stepping"),
        pytest.param(
            Spec(schedule=MultiStepLR(0.1, list(range(0, LARGE, 1000)), 0.99), total_steps=LARGE), 5 * LARGE, id="drops"
        ),
    ],
)
def test_looking_at_a_large_table_costs_little(monkeypatch: pytest.MonkeyPatch, spec: Spec, most: int) -> None:
    """The rows computed are a few hundred in all, and the steps of a twin that goes from row to row a few million."""
    table = Table.compute(spec)
    counts = computed_rows(monkeypatch)
    check_table(table, Spec.model_validate_json(spec.model_dump_json()), every_row=False)
    assert 0 < sum(counts) <= most


@pytest.mark.parametrize(
    "schedules", [(WarmupWithDecay(1e-3, 9, 1000),) * 1000, (Product([WarmupWithDecay(1.0, 9, 1000)] * 500),)]
)
def test_all_rows_are_computed_where_that_is_quicker_than_some(
    monkeypatch: pytest.MonkeyPatch, schedules: tuple[Schedule, ...]
) -> None:
    """A thousand short columns, or parts, are computed whole: a window of three rows takes as long as a thousand."""
    spec = Spec(schedule=schedules, total_steps=1000)
    counts = computed_rows(monkeypatch)
    check_table(Table.compute(spec), spec, every_row=False)
    assert counts == [1000] * len(schedules)


def test_rows_that_take_too_long_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A schedule begun a hundred million steps away is given up after a few million of them."""
    spec = Spec(schedule=Shift(CosineAnnealingLR(0.1, 10**8), 10**8 - 100), total_steps=10)
    counts = computed_rows(monkeypatch)
    check_table(Table({"lr": [0.1] * 10}), spec, every_row=False)
    assert sum(counts) < 4 * LARGE


# -- against servers --------------------------------------------------------------------------------------------------


def test_a_fetched_table_carries_the_spec_that_was_asked_for() -> None:
    """A file's spec is only a claim: the fetched table has the spec that was verified."""
    table = Table.compute(SPEC)
    liar = Table(dict(table.columns), spec=Spec(schedule=Constant(0.1), total_steps=1000))
    with hostile_server() as server, Client(server.url) as client:
        manifest = json.dumps(manifest_of(SPEC, table.digest)).encode()
        server.script = lambda request, connection: connection.sendall(
            response(request, manifest if request.method == "POST" else liar.to_bytes())
        )
        assert client.fetch(SPEC).spec == SPEC


def test_a_table_that_a_literal_names_is_fetched_for_a_full_comparison(service_url: str) -> None:
    """Values taken from a published table are compared with that table by `full`, and not without it."""
    with Client(service_url) as client:
        given = Table({"lr": [0.3, 0.2, 0.1]})
        spec = Spec(schedule=Literal(digest=client.publish(given)), total_steps=3)
        assert client.fetch(spec, verify="full").lr.tolist() == [0.3, 0.2, 0.1]
        assert client.fetch(spec).lr.tolist() == [0.3, 0.2, 0.1]
    wrong = Table({"lr": [0.3, 0.2, 0.2]})
    check_table(wrong, spec, every_row=True)  # nothing is known of it
    with resolved({given.digest: given}), pytest.raises(DigestMismatchError, match=r"lr of row 2 is 0\.2, and 0\.1"):
        check_table(wrong, spec, every_row=False)


def test_full_and_boundaries_are_the_ways_of_looking(service_url: str) -> None:
    """`full` gives the same table; any other word is an error before anything is sent."""
    with Client(service_url) as client:
        assert client.fetch(SPEC, verify="full") == client.fetch(SPEC)
        with pytest.raises(ValueError, match="verify must be 'boundaries' or 'full', got 'none'"):
            client.fetch(SPEC, verify="none")  # type: ignore[arg-type]  # which is the point


def test_a_table_larger_than_allowed_is_not_read() -> None:
    """`get` takes no more than `max_bytes`, whatever the digest's table has."""
    table = Table.compute(SPEC)
    with hostile_server() as server, Client(server.url) as client:
        server.script = lambda request, connection: connection.sendall(response(request, table.to_bytes()))
        assert client.get(table.digest) == table
        with pytest.raises(UnexpectedResponseError, match="and at most 8000 were asked for"):
            client.get(table.digest, max_bytes=8000)
