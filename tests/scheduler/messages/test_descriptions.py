"""The description of every parameter: where it is written, and wherever it is shown."""

import argparse
from typing import Any, Literal

import pytest
from pydantic import TypeAdapter

from scheduler import KINDS, Schedule, Spec
from scheduler.commands.show import add_parser
from scheduler.fields import Values
from scheduler.messages.descriptions import parameter_descriptions, prose, summary
from scheduler.schedule import schedule

LONGEST = 160


def parameters(kind: type[Schedule]) -> list[str]:
    """A kind's parameters, without the field that names it."""
    fields: Any = kind.__pydantic_fields__  # type: ignore[attr-defined]  # a kind is a pydantic dataclass
    return [name for name in fields if name != "kind"]


def words(text: str) -> str:
    """A text as it is on one line."""
    return " ".join(text.split())


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_described_in_a_line(kind: str) -> None:
    """Each parameter, and nothing else, has a line in its class's docstring that says more than its name."""
    found = parameter_descriptions(KINDS[kind])
    assert list(found) == parameters(KINDS[kind])
    for name, line in found.items():
        assert 10 < len(line) <= LONGEST, name
        assert "\n" not in line
        assert not line.endswith("."), name
        assert words(line.lower()) != name.replace("_", " ").lower()


@pytest.mark.parametrize("kind", KINDS)
def test_the_json_schema_has_the_descriptions(kind: str) -> None:
    """A kind's JSON schema describes each parameter, alone and in that of a spec, and is described by the prose."""
    alone = TypeAdapter(KINDS[kind]).json_schema()
    alone = alone["$defs"][alone["$ref"].rpartition("/")[2]] if "$ref" in alone else alone
    [within] = [
        schema for schema in Spec.model_json_schema()["$defs"].values() if schema["properties"]["kind"]["const"] == kind
    ]
    for schema in (alone, within):
        shown = {name: field["description"] for name, field in schema["properties"].items() if name != "kind"}
        assert shown == parameter_descriptions(KINDS[kind])
        assert schema["description"] == prose(KINDS[kind])


def test_every_field_of_a_spec_is_described() -> None:
    """The fields of a spec have descriptions too."""
    for name, field in Spec.model_json_schema()["properties"].items():
        assert 10 < len(field["description"]) <= LONGEST, name


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_shows_the_descriptions(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`lrtables show KIND --help` prints each parameter with its line."""
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["show", kind, "--help"])
    assert arguments.run(arguments) == 0
    out = words(capsys.readouterr().out)
    for name, line in parameter_descriptions(KINDS[kind]).items():
        assert f"{name}: {line}." in out


@schedule
class Described(Schedule):
    """Half described.

    Args:
        first: the first, which is
            told in two lines.
        absent: of no field.

    Formula: first.
    """

    first: float
    second: float
    kind: Literal["mine.Described"] = "mine.Described"

    def _fill(self, out: Values, start: int) -> None:
        del start
        out.fill(self.first)


def test_a_docstring_is_read_in_two_parts() -> None:
    """A line that goes on is one line, the prose is the rest, and a name without a field is not in the schema."""
    assert parameter_descriptions(Described) == {
        "first": "the first, which is told in two lines",
        "absent": "of no field",
    }
    assert prose(Described) == "Half described.\n\nFormula: first."
    assert summary(Described) == "Half described."
    fields = TypeAdapter(Described).json_schema()["properties"]
    assert {name: field.get("description") for name, field in fields.items()} == {
        "first": "the first, which is told in two lines",
        "second": None,
        "kind": None,
    }


def test_a_class_without_a_docstring_has_no_descriptions() -> None:
    """Nothing is said of a class that says nothing."""

    class Silent:
        pass

    assert (prose(Silent), summary(Silent), dict(parameter_descriptions(Silent))) == ("", "", {})
