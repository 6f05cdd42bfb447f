"""The house rules of the page's JavaScript: small modules in small rooms, no circles, and a portable kernel."""

import re
from graphlib import TopologicalSorter
from pathlib import Path

from tests.support.node import KERNEL

PAGE = KERNEL.parent
MODULES = sorted(PAGE.rglob("*.js"))
OF_KERNEL = sorted(KERNEL.rglob("*.js"))
MOST_MODULES = 12  # in a folder; index.js, which gathers names, is not counted
MOST_LINES = 400  # in a file
LONGEST_LINE = 120  # characters, in the kernel
ENTRIES = {"main.js", "worker.js"}
ROOMS = ("kernel", "common", "data", "chart", "compare", "form", "share", "runs", "paste", "stage")
"""Each imports those before it, and none after it. The entries import all."""
TYPES = {"common/types.js", "chart/types.js", "runs/types.js"}
"""Modules of types alone, which nothing loads."""
IMPORT = re.compile(r'^(?:import|export)\b[^"\n;]*(?:\n[^"\n;]*)*? from "([^"]+)";', re.MULTILINE)
BARE_IMPORT = re.compile(r'^import "[^"]*"|\bimport\((?!"[^"]+"\)[.\[])|\bimportScripts\(', re.MULTILINE)
TYPE_IMPORT = re.compile(r'import\("([^"]+)"\)')
COMMENT = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*", re.DOTALL)
SILENCED = re.compile(r"@ts-(?:ignore|nocheck|expect-error)\b(?! \S)")

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


def name_of(path: Path, root: Path = KERNEL) -> str:
    return path.relative_to(root).as_posix()


def imported(path: Path) -> list[str]:
    """What a module imports when it runs, as written."""
    return IMPORT.findall(path.read_text(encoding="utf-8"))


def test_no_folder_is_crowded_and_no_file_is_long() -> None:
    """A folder has at most 12 modules, a module at most 400 lines, each a comment on what it is."""
    folders = {path.parent for path in MODULES}
    counts = {folder: len([path for path in folder.glob("*.js") if path.stem != "index"]) for folder in folders}
    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES} == {}
    texts = {name_of(path, PAGE): path.read_text(encoding="utf-8") for path in MODULES}
    assert [name for name, text in texts.items() if len(text.splitlines()) > MOST_LINES] == []
    assert [name for name, text in texts.items() if not text.startswith(("// ", "/**"))] == []
    kernel = {name_of(path): path.read_text(encoding="utf-8") for path in OF_KERNEL}
    assert [name for name, text in kernel.items() if max(map(len, text.splitlines())) > LONGEST_LINE] == []
    assert [name for name, text in kernel.items() if "@module" not in text[:100]] == []


def test_modules_import_ours_alone_and_in_no_circle() -> None:
    """Every import names a module beside it, with its ending, and none leads back to its start or to another host."""
    graph = {path: {(path.parent / name).resolve() for name in imported(path)} for path in MODULES}
    assert [
        (name_of(path, PAGE), name) for path in MODULES for name in imported(path) if not name.startswith(".")
    ] == []
    assert set().union(*graph.values()) <= set(MODULES)
    TopologicalSorter(graph).prepare()  # raises CycleError, with the circle
    loaded = set().union(*graph.values()) | {PAGE / name for name in ENTRIES}
    assert {name_of(path, PAGE) for path in set(MODULES) - loaded} == TYPES


def test_rooms_import_downwards_only() -> None:
    """A room of the page imports rooms below it and itself, so that each can be read without those above it."""
    rooms = {path: name_of(path, PAGE).split("/")[0] for path in MODULES}
    assert {room for room in rooms.values() if not room.endswith(".js")} <= set(ROOMS)
    upwards = [
        (name_of(path, PAGE), name)
        for path in MODULES
        for name in imported(path)
        if rooms[path] in ROOMS and ROOMS.index(rooms[(path.parent / name).resolve()]) > ROOMS.index(rooms[path])
    ]
    assert upwards == []


def test_nothing_else_is_loaded_while_the_page_runs() -> None:
    """No module is imported for its effects or by an address that is made; no comment turns the type checker off."""
    codes = {name_of(path, PAGE): COMMENT.sub("", path.read_text(encoding="utf-8")) for path in MODULES}
    assert {name: BARE_IMPORT.findall(code) for name, code in codes.items() if BARE_IMPORT.search(code)} == {}
    texts = {name_of(path, PAGE): path.read_text(encoding="utf-8") for path in MODULES}
    assert {name: SILENCED.findall(text) for name, text in texts.items() if SILENCED.search(text)} == {}


def test_the_kernel_knows_nothing_of_the_page() -> None:
    """The kernel imports its own modules alone, types too: it runs in Node as it is."""
    found = [
        (name_of(path), name)
        for path in OF_KERNEL
        for name in [*imported(path), *TYPE_IMPORT.findall(path.read_text("utf-8"))]
    ]
    places = {(KERNEL / path).parent / name for path, name in found}
    assert [place for place in places if not place.resolve().is_relative_to(KERNEL)] == []


def test_types_are_imported_from_modules_that_are_there() -> None:
    """A type in a comment names a module of ours."""
    found = [(path, name) for path in MODULES for name in TYPE_IMPORT.findall(path.read_text(encoding="utf-8"))]
    assert [(path, name) for path, name in found if not (path.parent / name).is_file()] == []


def test_exact_values_come_from_portable_arithmetic() -> None:
    """Outside of previews no function is called whose last bits an engine may choose."""
    found = [
        (name_of(path), function)
        for path in OF_KERNEL
        for function in re.findall(r"\bMath\.([a-z]\w*)", path.read_text(encoding="utf-8"))
        if function not in EXACT
    ]
    assert {each for each in found if each[0] not in PREVIEWS} == ALLOWED


def test_exact_values_are_no_powers_of_numbers() -> None:
    """Outside of previews `**` stands between whole numbers of any size alone: of doubles an engine may round it."""
    texts = {name_of(path): path.read_text(encoding="utf-8") for path in OF_KERNEL}
    found = {name for name, text in texts.items() if re.search(r"^ *[^/* ][^/\n`]*[\w)] \*\* ", text, re.MULTILINE)}
    assert found - PREVIEWS == BIG_INTEGERS | TWINS_WITH_POWERS
