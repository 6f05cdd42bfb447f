"""What the explorer's tests add to the set-up is pinned as a whole, from PyPI and from npm, and names no registry."""

import json
from importlib.metadata import distribution

from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.node import ROOT
from tests.support.packages import asked_for, packages_needed, read_pins, read_project

PINS = "constraints-explorer.txt"


def test_every_added_package_is_pinned() -> None:
    """The pins of the extra `explorer` are what it needs beyond the set-up, transitive ones too, and no others."""
    needed = packages_needed(asked_for(read_project(), "explorer"))
    assert needed - read_pins("constraints.txt").keys() == set(read_pins(PINS))


def test_the_added_packages_are_as_pinned() -> None:
    """Each is installed here at its pin, which pyproject allows."""
    pins = read_pins(PINS)
    asked = [each for each in asked_for(read_project(), "explorer") if canonicalize_name(each.name) in pins]
    assert [each for each in asked if not each.specifier.contains(pins[canonicalize_name(each.name)])] == []
    assert {name: Version(distribution(name).version).public for name in pins} == pins


def test_the_lock_file_names_no_registry() -> None:
    """Each package of npm has one version and the hash of its archive, and no address."""
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    asked = json.loads((ROOT / "package.json").read_text())
    assert asked["devDependencies"] == packages[""]["devDependencies"]
    others = {name: package for name, package in packages.items() if name}
    assert [name for name, package in others.items() if not {"version", "integrity"} <= package.keys()] == []
    assert [name for name, package in others.items() if "resolved" in package] == []
