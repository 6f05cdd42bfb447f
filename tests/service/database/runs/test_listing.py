"""The list of runs: filtered and in pages, on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import pytest

from service.database.metadata import Metadata
from service.database.runs.listing import RunFilter
from service.database.runs.rows import Author, RunEdit, RunHead, RunName, RunTarget

AUTHOR = Author("nightly", "id-1")
NAMES = ["a/x", "a/x-1", "a/y", "a-b/x", "B/x", "b/x", "b/x.2", "c/z"]


def target(number: int, kind: str | None = "Constant") -> RunTarget:
    """The table of a digest."""
    return RunTarget(f"{number:064x}", 8, "step", 1, kind, f"s{number}", "{}")


@pytest.fixture
def metadata(metadata: Metadata) -> Metadata:
    """Metadata with a table."""
    for number in range(3):
        metadata.tables.record(f"s{number}", "{}", target(number).digest, 64)
    return metadata


def make(metadata: Metadata, name: str, to: RunTarget | None = None, **labels: str) -> RunHead:
    """Create a run."""
    namespace, _, rest = name.partition("/")
    edit = RunEdit("create", AUTHOR, labels=labels)
    head, made = metadata.runs.change(RunName(namespace, rest), None, to or target(1), edit)
    assert made
    return head


def listed(metadata: Metadata, limit: int = 100, **conditions: object) -> list[str]:
    """The names of the runs that meet the conditions, from as many pages as there are."""
    wanted = RunFilter(**conditions)  # type: ignore[arg-type]  # as its fields are
    return [f"{head.run.namespace}/{head.run.name}" for page in pages(metadata, wanted, limit) for head in page]


def pages(metadata: Metadata, wanted: RunFilter, limit: int) -> Iterator[list[RunHead]]:
    """The pages of a list, each asked for when it is needed."""
    page, after = metadata.runs.page(wanted, None, limit)
    yield page
    while after is not None:
        page, after = metadata.runs.page(wanted, after, limit)
        yield page


@pytest.mark.parametrize("limit", [1, 2, 3, 8, 100])
def test_pages_have_every_run_once(metadata: Metadata, limit: int) -> None:
    """However long the pages are, they have every run once, in one order."""
    heads = [make(metadata, name) for name in reversed(NAMES)]
    assert listed(metadata, limit) == ["B/x", "a/x", "a/x-1", "a/y", "a-b/x", "b/x", "b/x.2", "c/z"]
    assert listed(metadata, limit, newest=True) == NAMES
    assert [head for page in pages(metadata, RunFilter(newest=True), limit) for head in page] == heads[::-1]


def test_conditions_must_all_hold(metadata: Metadata) -> None:
    """Prefix, kind, digest and labels each leave out what does not meet them."""
    make(metadata, "a/x", target(1), team="one", stage="final")
    make(metadata, "a/xy", target(2, kind="Ramp"), team="one")
    make(metadata, "ab/x", target(2, kind=None), team="two", note='"team":"one"', odd='é"\\')
    assert listed(metadata, prefix="a") == ["a/x", "a/xy", "ab/x"]
    assert listed(metadata, prefix="a/") == ["a/x", "a/xy"]
    assert listed(metadata, prefix="a/xy") == ["a/xy"]
    assert listed(metadata, prefix="a/%") == listed(metadata, prefix="A") == []
    assert listed(metadata, contains=["B/X"]) == listed(metadata, contains=["b", "x"]) == ["ab/x"]
    assert listed(metadata, contains=["%"]) == listed(metadata, contains=["a_"]) == []
    assert listed(metadata, kind="Ramp") == ["a/xy"]
    assert (
        listed(metadata, digest=target(2).digest) == listed(metadata, digest=target(2).digest[:64]) == ["a/xy", "ab/x"]
    )
    assert listed(metadata, digest="0" * 63) == ["a/x", "a/xy", "ab/x"]
    assert listed(metadata, labels=[("team", "one")]) == ["a/x", "a/xy"]
    assert listed(metadata, labels=[("team", "one"), ("stage", "final")]) == ["a/x"]
    assert listed(metadata, labels=[("odd", 'é"\\')]) == ["ab/x"]
    for label in (("team", "ONE"), ("Team", "one"), ("team", "on"), ("eam", "one"), ("team", "o_e")):
        assert listed(metadata, labels=[label]) == [], label
    assert listed(metadata, labels=[("team", "one")], kind="Ramp", prefix="a/", digest=target(2).digest) == ["a/xy"]


def test_only_what_a_token_covers_is_listed(metadata: Metadata) -> None:
    """A pattern covers one namespace, or one run; one of another form covers none."""
    for name in NAMES:
        make(metadata, name)
    assert listed(metadata, namespaces=("a/*",)) == ["a/x", "a/x-1", "a/y"]
    assert listed(metadata, namespaces=("b/x", "c/*")) == ["b/x", "c/z"]
    assert listed(metadata, namespaces=("a/x", "*")) == listed(metadata)
    assert listed(metadata, namespaces=("a", "a/x/*", "a/x/1")) == listed(metadata, namespaces=()) == []


def test_a_deleted_run_is_not_listed(metadata: Metadata) -> None:
    """A run that was deleted is left out until it is created anew, at its old place."""
    for name in ("a/x", "a/y"):
        make(metadata, name)
    metadata.runs.change(RunName("a", "x"), 1, None, RunEdit("delete", AUTHOR))
    assert listed(metadata) == ["a/y"]
    make(metadata, "a/x")
    assert listed(metadata, newest=True) == ["a/y", "a/x"]


@pytest.mark.parametrize("newest", [False, True])
def test_pages_stay_right_while_runs_change(metadata: Metadata, newest: bool) -> None:
    """Runs that are there all the time are listed once each, whatever is created, moved and deleted between pages."""
    there = [f"run/{number:02}" for number in range(20)]
    for name in there:
        make(metadata, name)
    found: list[str] = []
    for number, page in enumerate(pages(metadata, RunFilter(prefix="run/", newest=newest), 3)):
        found += [f"{head.run.namespace}/{head.run.name}" for head in page]
        make(metadata, f"run/0{number}-new")
        for moved in ("05", "15"):
            metadata.runs.change(RunName("run", moved), number + 1, target(number % 2), RunEdit("amend", AUTHOR))
        metadata.runs.change(RunName("run", f"0{number}-new"), 1, None, RunEdit("delete", AUTHOR))
    assert [name for name in found if name in there] == (there[::-1] if newest else there)
    assert len(found) == len(set(found))


def test_long_specs_make_short_pages(metadata: Metadata) -> None:
    """Runs with specs of a megabyte do not come all at once."""
    long = RunTarget(target(1).digest, 8, "step", 1, "Constant", "s1", "x" * 2**20)
    for number in range(50):
        make(metadata, f"run/{number:02}", long)
    sizes = [len(page) for page in pages(metadata, RunFilter(), 50)]
    assert (sum(sizes), sizes[0]) == (50, 20)
