"""What the tests with real trainers add to the set-up is pinned as a whole, beside it."""

from importlib.metadata import distribution

from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.packages import asked_for, packages_needed, read_pins, read_project


def test_every_added_package_is_pinned() -> None:
    """The pins of the extra `trainers` are what it needs beyond the set-up, transitive ones too, and no others."""
    needed = packages_needed(asked_for(read_project(), "trainers"))
    assert needed - read_pins("constraints.txt").keys() == set(read_pins("constraints-trainers.txt"))


def test_each_added_package_satisfies_the_project() -> None:
    """Each package that the extra names is pinned, at a version that pyproject allows."""
    pins = {**read_pins("constraints.txt"), **read_pins("constraints-trainers.txt")}
    asked = asked_for(read_project(), "trainers")
    assert [each for each in asked if not each.specifier.contains(pins[canonicalize_name(each.name)])] == []


def test_the_added_packages_are_as_pinned() -> None:
    """Each is installed here at its pin; a local suffix (torch's +cpu) is the machine's choice."""
    pins = read_pins("constraints-trainers.txt")
    assert {name: Version(distribution(name).version).public for name in pins} == pins
