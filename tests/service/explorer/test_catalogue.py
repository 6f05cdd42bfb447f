"""What the explorer knows of kinds and recipes."""

import json
from typing import Any

import pytest

from scheduler import KINDS, Spec
from scheduler.names.aliases import ALIASES, NO_SCHEDULES
from scheduler.recipes import RECIPES
from service.documentation.catalogue import entry
from service.explorer.catalogue import catalogue_json


@pytest.fixture(scope="module")
def catalogue() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(catalogue_json())
    return data


def test_every_kind_has_an_example_that_computes(catalogue: dict[str, Any]) -> None:
    """Each kind begins with a spec that is valid, without a warning, and moves unless the kind is a constant."""
    assert catalogue["kinds"].keys() == set(KINDS)
    for kind, known in catalogue["kinds"].items():
        spec = Spec.model_validate_json(json.dumps(known["example"]))
        assert [each.kind for each in spec.schedules] == [kind]
        values = spec.table().columns["lr"]
        assert spec.warnings() == []
        assert (values.min() < values.max()) != (kind in {"Constant", "transformers.constant"}), kind


def test_every_parameter_is_described_as_in_the_catalogue_of_the_server(catalogue: dict[str, Any]) -> None:
    """Parameters are those of `/v1/schedules/{kind}`, in their order, each with a schema that has no reference."""
    for kind, known in catalogue["kinds"].items():
        described = entry(kind, lambda _: {})
        assert [each["name"] for each in known["parameters"]] == [each.name for each in described.parameters]
    assert "$ref" not in catalogue_json()


def test_the_names_that_people_type_are_there(catalogue: dict[str, Any]) -> None:
    """Each alias stands with its kind or recipe, and each scheduler that is no schedule with the reason."""
    recipes = {each["name"]: each for each in catalogue["recipes"]}
    for alias, target in ALIASES.items():
        assert alias in (catalogue["kinds"].get(target) or recipes[target])["aliases"]
    assert catalogue["no_schedules"] == NO_SCHEDULES


def test_every_recipe_is_there_with_its_spec(catalogue: dict[str, Any]) -> None:
    """Recipes are those of the gallery; their specs are equal, not only alike."""
    specs = {each["name"]: Spec.model_validate_json(json.dumps(each["spec"])) for each in catalogue["recipes"]}
    assert specs == {name: recipe.spec for name, recipe in RECIPES.items()}
