"""The house rules of the kernel: small modules without circles or foreign imports, and portable arithmetic."""

import re
from graphlib import TopologicalSorter
from pathlib import Path

from tests.support.node import KERNEL

MODULES = sorted(KERNEL.rglob("*.js"))
MOST_MODULES = 12  # in a folder; index.js, which gathers names, is not counted
MOST_LINES = 400  # in a file
LONGEST_LINE = 120  # characters
IMPORT = re.compile(r'^(?:import|export) .*? from "([^"]+)";', re.MULTILINE | re.DOTALL)
TYPE_IMPORT = re.compile(r'import\("([^"]+)"\)')

EXACT = {"abs", "ceil", "floor", "max", "min", "round", "sqrt", "trunc"}
"""Functions of Math that every engine rounds alike."""
ALLOWED = {("numerics/decimal.js", "log"), ("builtin/decay.js", "log10")}
"""Others: the first guess of an iteration, and a bound that is checked."""
PREVIEWS = {"builtin/cosine.js", "builtin/cycle.js", "builtin/swa.js", "libraries/lambda_lr.js"} | {
    f"libraries/{name}.js" for name in ("transformers/kinds", "transformers/floors", "deepspeed/warmup")
}
"""Modules with twins whose values are marked as a preview where they take such functions."""
BIG_INTEGERS = {"numerics/cosine.js", "numerics/decimal.js", "sha256.js"}
TWINS_WITH_POWERS = {"builtin/decay.js", "builtin/ramp.js"}


def name_of(path: Path) -> str:
    return path.relative_to(KERNEL).as_posix()


def test_no_folder_is_crowded_and_no_file_is_long() -> None:
    """A folder has at most 12 modules, a module at most 400 lines, each a comment on what it is."""
    folders = {path.parent for path in MODULES}
    counts = {folder: len([path for path in folder.glob("*.js") if path.stem != "index"]) for folder in folders}
    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES} == {}
    texts = {name_of(path): path.read_text(encoding="utf-8") for path in MODULES}
    assert [name for name, text in texts.items() if len(text.splitlines()) > MOST_LINES] == []
    assert [name for name, text in texts.items() if max(map(len, text.splitlines())) > LONGEST_LINE] == []
    assert [name for name, text in texts.items() if "@module" not in text[:100]] == []


def test_modules_import_ours_alone_and_in_no_circle() -> None:
    """Every import names a module beside it, with its ending, and none leads back to its start."""
    graph: dict[Path, set[Path]] = {}
    for path in MODULES:
        named = IMPORT.findall(path.read_text(encoding="utf-8"))
        graph[path] = {(path.parent / name).resolve() for name in named}
        assert [name for name in named if not name.startswith(".")] == []
    assert set().union(*graph.values()) <= set(MODULES)
    TopologicalSorter(graph).prepare()  # raises CycleError, with the circle


def test_types_are_imported_from_modules_that_are_there() -> None:
    """A type in a comment names a module of ours."""
    found = [(path, name) for path in MODULES for name in TYPE_IMPORT.findall(path.read_text(encoding="utf-8"))]
    assert [(path, name) for path, name in found if not (path.parent / name).is_file()] == []


def test_exact_values_come_from_portable_arithmetic() -> None:
    """Outside of previews no function is called whose last bits an engine may choose."""
    found = [
        (name_of(path), function)
        for path in MODULES
        for function in re.findall(r"\bMath\.([a-z]\w*)", path.read_text(encoding="utf-8"))
        if function not in EXACT
    ]
    assert {each for each in found if each[0] not in PREVIEWS} == ALLOWED


def test_exact_values_are_no_powers_of_numbers() -> None:
    """Outside of previews `**` stands between whole numbers of any size alone: of doubles an engine may round it."""
    texts = {name_of(path): path.read_text(encoding="utf-8") for path in MODULES}
    found = {name for name, text in texts.items() if re.search(r"^ *[^/* ][^/\n`]*[\w)] \*\* ", text, re.MULTILINE)}
    assert found - PREVIEWS == BIG_INTEGERS | TWINS_WITH_POWERS
