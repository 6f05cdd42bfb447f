"""The docstring of a kind, split into its prose and a line for each parameter.

The lines stand in the docstring's `Args:` section. They are parsed on first use, not at import.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

_SECTION = re.compile(r"^Args:\n((?:    .*\n)+)\n?", re.MULTILINE)
_PARAMETER = re.compile(r"^    (\w+): (.*(?:\n     .*)*)", re.MULTILINE)


def summary(kind: type) -> str:
    """The first line of a class's docstring."""
    return prose(kind).partition("\n")[0]


def prose(kind: type) -> str:
    """A class's docstring without the lines about its parameters."""
    return _SECTION.sub("", inspect.cleandoc(kind.__doc__ or ""))


def parameter_descriptions(kind: type) -> dict[str, str]:
    """Parameter to its description: one line with meaning, unit and range, without a full stop."""
    section = _SECTION.search(inspect.cleandoc(kind.__doc__ or ""))
    found = _PARAMETER.findall(section[1]) if section else ()
    return {name: " ".join(text.split()).removesuffix(".") for name, text in found}


def describe_schema(kind: type, schema: dict[str, Any]) -> None:
    """Put the class's prose, and the description of each parameter, into the JSON schema of the class."""
    if text := prose(kind):
        schema["description"] = text
    for name, description in parameter_descriptions(kind).items():
        if name in schema["properties"]:
            schema["properties"][name]["description"] = description
