"""What pyproject.toml asks for, what that needs as it is installed here, and what is pinned."""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def read_project() -> dict[str, Any]:
    """The `project` part of pyproject.toml."""
    data: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return data


def read_pins(name: str) -> dict[str, str]:
    """Package to version, as a file of constraints has them; a line that is no exact pin is an error."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    matches = [re.fullmatch(r"([\w.-]+)==([\w.]+)", line) for line in lines if not line.startswith("#")]
    assert all(matches), f"a line of {name} is not name==version"
    return {canonicalize_name(match[1]): match[2] for match in matches if match}


def asked_for(project: dict[str, Any], *extras: str) -> list[Requirement]:
    """What the core and these extras ask for by name; of an extra that one of them names, what that asks for."""
    return [Requirement(text) for text in project["dependencies"]] + _asked_for_by(project, extras)


def _asked_for_by(project: dict[str, Any], extras: tuple[str, ...]) -> list[Requirement]:
    wanted = [Requirement(text) for extra in extras for text in project["optional-dependencies"][extra]]
    ours = tuple(extra for each in wanted if each.name == project["name"] for extra in sorted(each.extras))
    others = [each for each in wanted if each.name != project["name"]]
    return others + (_asked_for_by(project, ours) if ours else [])


def packages_needed(requirements: list[Requirement]) -> set[str]:
    """The names of these packages and of all that they need, as installed here."""
    waiting, seen = list(requirements), set[tuple[str, frozenset[str]]]()
    while waiting:
        requirement = waiting.pop()
        asked = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if asked not in seen:
            seen.add(asked)
            waiting += _asks_for(*asked)
    return {name for name, _ in seen}


def _asks_for(name: str, extras: frozenset[str]) -> list[Requirement]:
    """What an installed package asks for on this machine, with these of its extras."""
    requirements = [Requirement(text) for text in distribution(name).requires or []]
    return [
        requirement
        for requirement in requirements
        if requirement.marker is None
        or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *sorted(extras)))
    ]
