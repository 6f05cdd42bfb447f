"""The kernel knows every kind, with the parameters, ranges and defaults that Python has."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from scheduler import KINDS
from tests.explorer.node import run
from tests.support.node import KERNEL

SAID_ELSEWHERE = {"title", "description", "default"}


def test_every_kind_has_the_parameters_of_python() -> None:
    """Each kind has the same revision and fields, each of the same form, range and default, in the same order."""
    known = json.loads(run("fields.mjs", str(KERNEL)))
    assert {kind for kind, _ in known} == set(KINDS)
    assert [(kind, told, expected) for kind, told in known if told != (expected := of_python(kind))] == []


def of_python(kind: str) -> dict[str, Any]:
    """The fields of a kind by its JSON schema; a field that holds a schedule is told by the kinds' prefix."""
    schema = TypeAdapter(KINDS[kind]).json_schema()
    schema = schema["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    properties = {name: part for name, part in schema["properties"].items() if name != "kind"}
    fields = [[name, plain(part), [part["default"]] if "default" in part else []] for name, part in properties.items()]
    return {"revision": KINDS[kind].revision, "fields": fields}


def plain(schema: Any) -> Any:
    """A schema without its texts."""
    if isinstance(schema, list):
        return [plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "oneOf" in schema:
        kinds = schema["discriminator"]["mapping"]
        return {"schedule": "torch." if all(kind.startswith("torch.") for kind in kinds) else ""}
    return {name: plain(part) for name, part in schema.items() if name not in SAID_ELSEWHERE}
