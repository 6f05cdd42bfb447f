"""The kinds of schedules by name: looked up when they are asked for, and not before."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from importlib import import_module
from typing import Any, get_type_hints

import pytest
from pydantic import TypeAdapter, ValidationError

from scheduler import KINDS, Schedule, Spec, parse
from scheduler.compose import Constant, Scale
from scheduler.registry import MODULES, AnySchedule, Kinds

LIBRARIES = ("scheduler.builtin", "scheduler.compose", "scheduler.custom", "scheduler.libraries")

TOY = """
from dataclasses import KW_ONLY
from typing import Literal
from scheduler.fields import Rate
from scheduler.schedule import Schedule, schedule

def made(number):
    name = f"toy.Kind{number}"
    fields = {"__annotations__": {"value": Rate, "_": KW_ONLY, "kind": Literal[name]}, "kind": name}
    fill = {"_fill": lambda self, out, start: out.fill(self.value)}
    return schedule(type(f"Kind{number}", (Schedule,), {**fields, **fill}))

globals().update({f"Kind{number}": made(number) for number in range(200)})
"""


def loaded(code: str, *arguments: str, path: str = "") -> list[str]:
    """The modules that a fresh interpreter has loaded after it ran the code."""
    script = f"import json, sys\nsys.path.insert(0, {path!r})\n{code}\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("package", ["scheduler", "client"])
def test_an_import_loads_no_kind(package: str) -> None:
    """Importing the numbers or the client loads no module of kinds, and neither does listing the kinds' names."""
    modules = loaded(f"import {package}, scheduler\nassert len(list(scheduler.KINDS)) > 40")
    assert [name for name in modules if name.startswith(LIBRARIES)] == []


def test_a_library_of_two_hundred_kinds_adds_nothing_to_the_import(tmp_path: Any) -> None:
    """Its names are listed and told from others without its module, which one look-up of a class imports."""
    (tmp_path / "toy_library.py").write_text(TOY, encoding="utf-8")
    listed = """
from scheduler.registry import MODULES, Kinds
kinds = Kinds({**MODULES, "toy_library": tuple(f"toy.Kind{number}" for number in range(200))})
assert len(kinds) == len(set(kinds)) == 200 + sum(map(len, MODULES.values()))
assert "toy.Kind7" in kinds and "toy.Kind200" not in kinds
"""
    alone = loaded("from scheduler.registry import MODULES, Kinds")
    assert sorted(loaded(listed, path=str(tmp_path))) == sorted(alone)
    used = f"{listed}assert kinds['toy.Kind7'](0.5).get_lr(3) == 0.5"
    modules = loaded(used, path=str(tmp_path))
    assert "toy_library" in modules
    assert [name for name in modules if name.startswith(LIBRARIES)] == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_exports_the_kinds_that_are_registered_for_it(module: str) -> None:
    """Each kind has its own class in the module that the registry names, which has no kind besides."""
    exported = [value for value in vars(import_module(module)).values() if isinstance(value, type)]
    found = {value.kind for value in exported if issubclass(value, Schedule) and "kind" in vars(value)}
    assert found == set(MODULES[module])
    assert all(KINDS[kind].kind == kind for kind in MODULES[module])


def test_a_kind_that_its_module_does_not_have_is_named() -> None:
    """A registered name without a class names the module, a name that is not registered is a `KeyError`."""
    kinds = Kinds({"scheduler.compose": ("Constant", "Constance")})
    assert kinds["Constant"] is Constant
    with pytest.raises(ImportError, match=r"scheduler\.compose exports no kind 'Constance', which .*registry\.py"):
        kinds["Constance"]
    with pytest.raises(KeyError, match="Ramp"):
        kinds["Ramp"]


def test_all_kinds_are_loaded_at_once_for_a_server() -> None:
    """`load` imports every module that the registry names."""
    modules = loaded("from scheduler import KINDS\nKINDS.load()")
    assert set(MODULES) <= set(modules)


def test_an_unknown_kind_is_no_list_of_all() -> None:
    """JSON with a kind that does not exist is refused in one short line about it, without the names of all others."""
    with pytest.raises(ValueError, match="WarmupWithDecai") as caught:
        parse({"kind": "custom.WarmupWithDecai"})
    assert "ExponentialCyclicLR" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_an_error_deep_inside_names_fields_and_no_kinds() -> None:
    """The place of an error is the way through the data: fields and indices."""
    inner = {"kind": "Sequence", "schedules": [{"kind": "custom.LinearWarmup", "base_lr": -1}], "lengths": []}
    data = {"kind": "Scale", "factor": 2, "schedule": inner}
    with pytest.raises(ValidationError, match="greater than or equal to 0") as caught:
        TypeAdapter(AnySchedule).validate_json(json.dumps(data))
    assert caught.value.errors()[0]["loc"] == ("schedule", "schedules", 0, "base_lr")


def test_data_stands_for_schedules() -> None:
    """A dict with a kind is its schedule in Python too, at every depth, as configuration files give it."""
    constant: Any = {"kind": "Constant", "value": 0.1}
    assert Scale(constant, 2.0) == Scale(Constant(0.1), 2.0)
    assert Spec(schedule=constant, total_steps=1) == Spec(schedule=Constant(0.1), total_steps=1)
    assert parse({"kind": "Scale", "schedule": constant, "factor": 2}) == Scale(Constant(0.1), 2.0)
    for other in ({"value": 0.1}, "Constant", 0.1, None):
        with pytest.raises(ValueError, match="schedule"):
            Scale(other, 2.0)  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize("kind", KINDS)
def test_annotations_can_be_read(kind: str) -> None:
    """Tools that construct classes from their annotations, as OmegaConf and jsonargparse do, can read every kind's."""
    assert {"kind"} <= set(get_type_hints(KINDS[kind]))
    fields: Any = dataclasses.fields(KINDS[kind])  # type: ignore[arg-type]  # a kind is a dataclass
    assert [field.name for field in fields if isinstance(field.type, str)] == []


def test_a_field_for_schedules_is_described_by_all_kinds() -> None:
    """The JSON schema of such a field is the union of all kinds, told by `kind`, with a schema for each."""
    schema = TypeAdapter(AnySchedule).json_schema()
    assert set(schema["discriminator"]["mapping"]) == set(KINDS)
    assert {item["$ref"].removeprefix("#/$defs/") for item in schema["oneOf"]} <= set(schema["$defs"])
    kinds = {found["properties"]["kind"]["const"] for found in schema["$defs"].values()}
    assert kinds == set(KINDS)


def test_the_members_of_torchs_composites_are_torchs() -> None:
    """A field that takes one library's kinds refuses the others', and is described by its own."""
    with pytest.raises(ValueError, match="Constant"):
        parse({"kind": "torch.ChainedScheduler", "schedulers": [{"kind": "Constant", "value": 0.1}]})
    members = TypeAdapter(KINDS["torch.ChainedScheduler"]).json_schema()["$defs"]["SequentialLR"]["properties"]
    mapping = members["schedulers"]["items"]["discriminator"]["mapping"]
    assert set(mapping) == {kind for kind in KINDS if kind.startswith("torch.")}


FORKS = """
import os, signal, threading
import scheduler
loading = threading.Thread(target=scheduler.KINDS.load)
loading.start()
children = []
for _ in range(6):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        scheduler.parse({"kind": "transformers.linear", "base_lr": 0.1, "num_warmup_steps": 1, "num_training_steps": 9})
        scheduler.parse({"kind": "torch.StepLR", "base_lr": 0.1, "step_size": 3})
        os._exit(0)
    children.append(child)
loading.join()
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
"""


def test_a_fork_while_kinds_are_loaded_leaves_no_child_waiting() -> None:
    """A process that is forked while another thread imports kinds can use them all."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKS]
    for _ in range(3):
        subprocess.run(command, check=True, timeout=120)
