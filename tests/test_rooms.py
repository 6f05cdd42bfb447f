"""The house: which room may import which, and how large rooms and files may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("client", "lrtables", "scheduler", "service")
MOST_MODULES = 12  # in a room; __init__ and __main__ are not counted
MOST_LINES = 400  # in a file

# Each room imports those after it, and none before it.
SERVICE = (
    ("service.__main__",),
    ("service.commands",),
    ("service.operations", "service.app"),
    ("service.server",),
    ("service.middleware",),
    ("service.routes",),
    ("service.explorer",),
    ("service.documentation",),
    ("service.state",),
    ("service.representations",),
    ("service.security", "service.observability"),
    ("service.http",),
    ("service.runs",),
    ("service.tables",),
    ("service.workers",),
    ("service.database", "service.migrations"),
    ("service.storage",),
    ("service.concurrency",),
    ("service.strict_json",),
    ("service.errors", "service.settings"),
)
HTTP = {"starlette", "fastapi", "uvicorn", "httptools", "h11", "urllib3", "http"}


class Import(NamedTuple):
    """One import statement's target, as a module of ours where it is one."""

    importer: str
    line: int
    target: str
    name: str | None


def name_of(path: Path) -> str:
    """The dotted name of a module by its file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def sources() -> dict[str, ast.Module]:
    """Every module of the packages, parsed."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {name_of(path): ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in paths}


@cache
def imports() -> tuple[Import, ...]:
    """Every import of the packages: those of functions and those for type checkers only, too."""
    return tuple(found for module, tree in sources().items() for found in _imports(module, tree))


def _imports(module: str, tree: ast.Module) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, node.lineno, alias.name, None)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno} imports relatively"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield Import(
                    module, node.lineno, *((inner, None) if inner in sources() else (node.module or "", alias.name))
                )


def depends() -> dict[str, set[str]]:
    """Module to the modules of ours that it imports."""
    graph: dict[str, set[str]] = {module: set() for module in sources()}
    for found in imports():
        if found.target in graph and found.target != found.importer:
            graph[found.importer].add(found.target)
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The sets of nodes, more than one each, that lead to one another (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for after in graph[node]:
            if after not in index:
                visit(after)
                low[node] = min(low[node], low[after])
            elif after in stack:
                low[node] = min(low[node], index[after])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def room_of(module: str) -> str:
    """A module's room: the package's folder that it lies in, or the module itself where it lies in none."""
    parts = module.split(".")
    return ".".join(parts[:2])


def test_no_module_imports_itself_in_a_circle() -> None:
    """No chain of imports leads back to its start, imports inside functions and for type checkers counted."""
    assert circles(depends()) == []


def test_the_search_finds_a_circle() -> None:
    """Three modules in a circle are found, and one beside them is not."""
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set[str]()}
    assert circles(graph) == [["a", "b", "c"]]


def test_rooms_of_the_service_import_downwards() -> None:
    """A room of the service imports only rooms below it: a command reaches everything, an error nothing."""
    level = {room: number for number, rooms in enumerate(SERVICE) for room in rooms}
    unknown = {room_of(module) for module in sources() if module.startswith("service.")} - level.keys()
    upwards = [
        f"{found.importer}:{found.line} imports {found.target}"
        for found in imports()
        if found.importer.startswith("service.") and found.target.startswith("service.")
        if room_of(found.importer) != room_of(found.target)
        if level[room_of(found.importer)] >= level[room_of(found.target)]
    ]
    assert (unknown, upwards) == (set(), [])


@pytest.mark.parametrize(
    "room", ["service.runs", "service.tables", "service.workers", "service.database", "service.storage", "scheduler"]
)
def test_the_domain_knows_no_http(room: str) -> None:
    """Tables, the database, the stores and the numbers import no web framework and none of our HTTP."""
    found = [
        f"{each.importer}:{each.line} imports {each.target}"
        for each in imports()
        if each.importer == room or each.importer.startswith(room + ".")
        if each.target.partition(".")[0] in HTTP or each.target.startswith(("service.http", "service.routes"))
    ]
    assert found == []


# Modules that read names with an underscore of other people's classes which ours have, too; and why.
FOREIGN = {
    "client.optimizer.rate_tensors": "reads torch's version counter of a tensor, as a test with real tensors shows",
    "scheduler.interop.recognise": "reads what torch's schedulers keep privately; a test steps the real ones",
    "service.server.uvicorn_adapter": "the one file that knows uvicorn's private names, which are checked at start",
}


def test_no_module_reads_anothers_underscore() -> None:
    """A private name is read in the module that defines it, or by a subclass on itself."""
    found = [place for module in sources() if module not in FOREIGN for place in _trespasses(module)]
    assert found == []


def _trespasses(module: str) -> Iterator[str]:
    """Where a module reads a private name of another one of ours."""
    for each in _imports(module, sources()[module]):
        if each.target in sources() and _is_private(each.name or ""):
            yield f"{module}:{each.line} imports {each.name} from {each.target}"
    elsewhere = set().union(*(_private_names(other) for other in sources() if other != module))
    for node in ast.walk(sources()[module]):
        is_foreign = isinstance(node, ast.Attribute) and node.attr in elsewhere - _private_names(module)
        if isinstance(node, ast.Attribute) and is_foreign and not _is_itself(node.value):
            yield f"{module}:{node.lineno} reads {ast.unparse(node)}"


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _is_itself(value: ast.expr) -> bool:
    """Whether an attribute is read from the own object or its base class."""
    return ast.unparse(value) in {"self", "cls", "super()"}


@cache
def _private_names(module: str) -> frozenset[str]:
    """The private names that a module defines: functions, classes, fields and attributes."""
    stored = (node for node in ast.walk(sources()[module]) if isinstance(node, ast.Attribute))
    attributes = {node.attr for node in stored if isinstance(node.ctx, ast.Store)}
    return frozenset(filter(_is_private, _bound_names(module) | attributes))


def _bound_names(module: str) -> set[str]:
    """The names of a module's functions, classes and variables, those inside of others included."""
    names: set[str] = set()
    for node in ast.walk(sources()[module]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def test_no_room_is_crowded() -> None:
    """No folder holds more than twelve modules."""
    folders = sorted({path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")})
    counts = {
        str(folder.relative_to(ROOT)): len([path for path in folder.glob("*.py") if not path.stem.startswith("__")])
        for folder in folders
    }
    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_no_file_is_long() -> None:
    """No file, of the packages or of their tests, has more than 400 lines."""
    paths = sorted(path for folder in (*PACKAGES, "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {path: length for path, length in lengths.items() if length > MOST_LINES} == {}


def test_a_name_is_imported_from_where_it_is_defined() -> None:
    """A name has one place: the module that defines it, or a package that lists it in `__all__`."""
    found = [
        f"{each.importer}:{each.line} imports {each.name} from {each.target}"
        for each in imports()
        if each.name is not None and each.target in sources()
        if each.name not in _offered(each.target)
    ]
    assert found == []


@cache
def _offered(module: str) -> set[str]:
    """The names that a module defines; those of `__all__` where it is a package that gathers names."""
    offered = _bound_names(module)
    for node in ast.walk(sources()[module]):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            offered.update(ast.literal_eval(node.value))
    return offered
