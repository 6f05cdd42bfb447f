"""The code that the page offers gives the table that it shows: it is run, or read by the readers of its format."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import shlex
import warnings
from typing import Any

import pytest
import yaml

from scheduler import KINDS, ScheduleWarning, Spec, Table
from scheduler.interop.group_fields import read
from scheduler.libraries.deepspeed import from_deepspeed
from scheduler.libraries.transformers import from_training_arguments
from tests.explorer.code import made_by, of_library, offered, with_code
from tests.explorer.specs import ALL, Drawn, drawn

TORCH = [kind for kind in KINDS if kind.startswith("torch.")]


@pytest.fixture(scope="module")
def of_every_kind() -> list[tuple[Drawn, dict[str, str]]]:
    """Specs of every kind, with columns, groups and other axes among them, and their code."""
    specs = drawn(ALL, 40)
    return list(zip(specs, offered([each.data for each in specs]), strict=True))


def test_python_prints_the_digest(of_every_kind: list[tuple[Drawn, dict[str, str]]]) -> None:
    """The Python code, run, prints the table's digest; TableLR's is the same spec, for a server."""
    for each, code in of_every_kind:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("ignore", ScheduleWarning)
            exec(compile(code["Python"], "Python", "exec"), {})
        assert printed.getvalue().strip() == each.table.digest
        assert spec_in(code["TableLR"]) == each.spec


def spec_in(code: str) -> Spec:
    """The spec that stands in Python code as a text."""
    texts = (node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant))
    (text,) = [value for value in texts if isinstance(value, str) and value.startswith("{")]
    return Spec.model_validate_json(text)


def test_data_is_the_spec(of_every_kind: list[tuple[Drawn, dict[str, str]]]) -> None:
    """YAML, JSON and what the shell gives curl are the spec, to the last digit."""
    for each, code in of_every_kind:
        body = shlex.split(code["curl"].replace("\\\n", " "))[-1]
        for data in (yaml.safe_load(code["YAML"]), json.loads(code["JSON"]), json.loads(body)):
            assert Spec.model_validate_json(json.dumps(data)) == each.spec


def test_optax_reads_the_spec_where_rows_are_steps(of_every_kind: list[tuple[Drawn, dict[str, str]]]) -> None:
    """The code for optax carries the spec, and is offered for rows of steps that nothing else follows."""
    for each, code in of_every_kind:
        assert ("optax" in code) == (each.spec.axis == "step" and each.spec.after != "release")
        assert "optax" not in code or spec_in(code["optax"]) == each.spec


def test_torch_classes_step_the_tables_rates() -> None:
    """The class that the code makes, stepped, has the bits of the table in every column, composites included."""
    specs, found = of_library("torch."), dict[str, int]()
    for spec, code in with_code(specs, "torch"):
        assert stepped(spec, code).digest == spec.table().digest, code
        found[spec.schedules[0].kind] = found.get(spec.schedules[0].kind, 0) + 1
    assert set(found) == set(TORCH)


def stepped(spec: Spec, code: str) -> Table:
    """The table of the scheduler that code makes, stepped as the code says."""
    scheduler = made_by(code, spec)
    rows = {name: [0.0] * spec.total_steps for name in spec.plan()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own: of a step that no optimizer took
        for step in range(spec.total_steps):
            for name, values in rows.items():
                column, _, group = name.partition(".")
                values[step] = float(read(scheduler.optimizer.param_groups[int(group or 0)], column))
            if step + 1 < spec.total_steps:
                scheduler.step()
    return Table(rows, axis=spec.axis, stride=spec.stride, after=spec.after)


def test_training_arguments_decide_the_table() -> None:
    """The arguments in the code give Trainer the table's rates, for as many steps as it has."""
    specs, found = of_library("transformers."), set()
    for spec, code in with_code(specs, "TrainingArguments"):
        (call,) = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
        given: dict[str, Any] = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
        schedule = from_training_arguments(given)
        assert given["max_steps"] == spec.total_steps
        told = Spec(schedule=schedule, total_steps=spec.total_steps, after=spec.after)
        assert told.table().digest == spec.table().digest, code
        found.add(spec.schedules[0].kind)
    assert found == {kind for kind in KINDS if kind.startswith("transformers.")}


@pytest.mark.parametrize("library", ["deepspeed.", "torch."])
def test_deepspeed_reads_the_table(library: str) -> None:
    """The configuration that the page writes is the table to DeepSpeed's reader, for each parameter group."""
    specs, found = of_library(library), set()
    for spec, code in with_code(specs, "DeepSpeed"):
        read_back = Spec(schedule=from_deepspeed(code), total_steps=spec.total_steps, after=spec.after)
        assert read_back.table().digest == spec.table().digest, code
        found.add(spec.schedules[0].kind.removeprefix(library))
    of_objects = {"SequentialLR", "ChainedScheduler", "SWALR"}
    assert found == {kind.removeprefix(library) for kind in KINDS if kind.startswith(library)} - of_objects


STEP_LR = {"kind": "torch.StepLR", "base_lr": 0.1, "step_size": 3}
LINEAR = {"kind": "transformers.linear", "base_lr": 1, "num_warmup_steps": 2, "num_training_steps": 9}
RAMP = {"kind": "Ramp", "start": 1, "stop": 0, "length": 50}
WHERE_NOT: list[tuple[dict[str, Any], set[str]]] = [
    ({"schedule": STEP_LR, "total_steps": 9, "stride": 2}, {"torch", "DeepSpeed"}),
    ({"schedule": STEP_LR, "total_steps": 9, "axis": "token"}, {"torch", "optax"}),
    ({"schedule": LINEAR, "total_steps": 8}, {"TrainingArguments"}),
    ({"schedule": RAMP, "total_steps": 50}, {"torch", "plain optax"}),
]


def test_code_is_offered_only_where_it_gives_the_table() -> None:
    """Other rows than steps, another length than Trainer's and rates that optax rounds otherwise have no such code."""
    for (spec, absent), codes in zip(WHERE_NOT, offered([spec for spec, _ in WHERE_NOT]), strict=True):
        assert not absent & codes.keys(), spec
        assert {"Python", "curl", "YAML"} <= codes.keys()
