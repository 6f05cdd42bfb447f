"""The house rules that no other tool checks, read from the files that git would commit."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("client", "scheduler", "service")
EVERYTHING = (*PACKAGES, "lrtables")
MAY_IMPORT = {"scheduler": set[str](), "service": {"scheduler"}, "client": {"scheduler"}}
PICKLES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
# what only the server, a picture or a training loop needs: an import of the numbers or the client loads none of it
HEAVY = {
    "torch",
    "fastapi",
    "starlette",
    "uvicorn",
    "pydantic_settings",
    "matplotlib",
    "sklearn",
    "tqdm",
    "safetensors",
    "jax",
    "optax",
    "keras",
    "tensorboard",
    "mlflow",
    "wandb",
}

# Each address that the repository may name, and why.
HOSTS = {
    "127.0.0.1": "this machine",
    "localhost": "this machine",
    "127.9.9.9": "this machine, by another address of the loopback",
    "192.0.2.1": "an address kept for examples (RFC 5737)",
    "192.0.2.2": "another one",
    "0.0.0.0": "every interface of this machine, in what refuses or documents such a bind",
    "host": "stands for any host in a sentence",
    "bucket": "stands for any bucket of an S3-compatible store",
    "no-such-bucket": "a bucket that there is none of, in tests",
    "lrtables": "the servers, by their name in deploy/",
    "s3": "the store, by its name in deploy/",
    "testserver": "what starlette's TestClient calls the application; never looked up",
    "arxiv.org": "literature",
    "doi.org": "literature",
    "docs.pytorch.org": "the documentation of a twin's source",
    "keepachangelog.com": "the changelog's format",
    "semver.org": "the changelog's version numbers",
    "www.rfc-editor.org": "standards that the HTTP interface follows",
    "www.w3.org": "XML namespaces, which are names and not addresses",
    "html.spec.whatwg.org": "the standard of server-sent events",
    "json-schema.org": "the JSON schema dialect, which is a name and not an address",
}
# names kept for examples, and a single letter that stands for any host
EXAMPLE_HOST = re.compile(r"^[a-z]$|(^|\.)example(\.(com|org|net))?$|\.(example|invalid|test)$")
URL = re.compile(r"\b(?:https?|ftp|s3|git|ssh|postgresql)://(?:[^/@\s]*@)?(?P<host>[\w.-]+)")
IPV4 = re.compile(r"(?<![\w.=-])(?P<host>\d{1,3}(?:\.\d{1,3}){3})(?![\w.])")
# folders of one machine or one user; the image's own folders are the Dockerfile's to name
ABSOLUTE = re.compile(r"(?<![\w.~<}*/])/(?:home|root|work|opt|mnt|srv|Users)/\w")
EXCEPTION = re.compile(r"#\s*(?:noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|type: ignore\[[\w, -]+\])(?P<reason>.*)")
BARE_EXCEPTION = re.compile(r"#\s*(?:noqa(?!:\s*[A-Z]+\d)|type:\s*ignore(?!\[))")


def committed(*suffixes: str) -> list[Path]:
    """The files that git tracks or would add, with one of these suffixes."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    paths = [ROOT / name for name in names if name]
    return [path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes)]


def lines(paths: list[Path]) -> Iterator[tuple[str, str, str]]:
    """Each line as (place, the line before, the line)."""
    for path in paths:
        before = ""
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            yield f"{path.relative_to(ROOT)}:{number}", before, line
            before = line


def nodes(paths: list[Path]) -> Iterator[tuple[str, ast.AST]]:
    """Each syntax node with its place."""
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", node


def imported(node: ast.AST) -> list[str]:
    """The top-level packages that an import statement names; an import inside the own package names none."""
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [(node.module or "").partition(".")[0]]
    return []


def python(script: str, *arguments: str) -> Any:
    """What a fresh interpreter, started in the repository, prints as JSON."""
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def modules() -> list[str]:
    """Every module of the packages by its dotted name."""
    paths = sorted(path for package in EVERYTHING for path in (ROOT / package).rglob("*.py"))
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    data: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return data


@pytest.mark.parametrize("package", PACKAGES)
def test_the_arrows_point_at_the_scheduler(package: str) -> None:
    """Service and client import the scheduler, never each other; the scheduler imports neither."""
    forbidden = set(EVERYTHING) - MAY_IMPORT[package] - {package}
    found = nodes(sorted((ROOT / package).rglob("*.py")))
    assert [(place, name) for place, node in found for name in imported(node) if name in forbidden] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_only_gathers_its_names(package: str) -> None:
    """An `__init__` defines nothing but `__all__`, which lists what it imports: constants, classes, functions.

    What it imports only for type checkers it gives when it is first asked for (`__getattr__`, `__dir__`).
    """
    tree = ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))
    assert {type(statement) for statement in tree.body} <= {
        ast.Expr,
        ast.ImportFrom,
        ast.Assign,
        ast.If,
        ast.FunctionDef,
    }
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert defined <= {"__getattr__", "__dir__"}
    names = [
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == package
        for alias in node.names
    ]
    exported = [ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign) and _names(node)]
    assert exported == ([sorted(names, key=_isort_order)] if names else [])


@pytest.mark.needs("git")
def test_what_tests_share_lies_in_support() -> None:
    """Tests import nothing of benchmarks/, no test file imports another, and tests/support imports no other test."""
    found = nodes([path for path in committed(".py") if path.is_relative_to(ROOT / "tests")])
    names = [(place, name) for place, node in found for name in _imported_modules(node)]
    assert [(place, name) for place, name in names if name.partition(".")[0] == "benchmarks"] == []
    assert [(place, name) for place, name in names if re.match(r"tests\b.*\.test_", name)] == []
    theirs = [
        (place, name) for place, name in names if name.startswith("tests.") and place.startswith("tests/support/")
    ]
    assert [(place, name) for place, name in theirs if not name.startswith("tests.support.")] == []


def _imported_modules(node: ast.AST) -> list[str]:
    """The modules that an absolute import statement names, in full."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def _names(node: ast.Assign) -> bool:
    """Whether an assignment is that of `__all__`."""
    return ast.unparse(node.targets[0]) == "__all__"


def _isort_order(name: str) -> tuple[int, str]:
    """The order that ruff gives `__all__`: CONSTANTS, Classes, functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.needs("git")
def test_nothing_is_pickled() -> None:
    """Nothing of ours imports a module that pickles, or allows a loader to unpickle; tests may, for users who do."""
    found = list(nodes([path for path in committed(".py") if not path.is_relative_to(ROOT / "tests")]))
    assert [place for place, node in found if PICKLES & set(imported(node))] == []
    allowing = [
        place
        for place, node in found
        if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant)
        if (node.arg, node.value.value) in {("allow_pickle", True), ("weights_only", False)}
    ]
    assert allowing == []


@pytest.mark.needs("git")
def test_no_address_but_known_ones() -> None:
    """The repository names no host or address but those in `HOSTS`, each with its reason, and example ones."""
    found = [
        (place, match["host"])
        for place, _, line in lines(committed())
        for pattern in (URL, IPV4)
        for match in pattern.finditer(line)
    ]
    assert [(place, host) for place, host in found if host not in HOSTS and not EXAMPLE_HOST.search(host)] == []


@pytest.mark.needs("git")
def test_no_absolute_path() -> None:
    """The repository names no folder of one machine; the Dockerfile names the image's own."""
    paths = [path for path in committed() if path.name != "Dockerfile"]
    assert [place for place, _, line in lines(paths) if ABSOLUTE.search(line)] == []


@pytest.mark.needs("git")
def test_every_exception_has_its_reason() -> None:
    """A `noqa` or `type: ignore` names its code, and says why: behind it or in a comment above it."""
    found = list(lines(committed(".py")))
    bare = [place for place, _, line in found if BARE_EXCEPTION.search(line)]
    unexplained = [
        place
        for place, before, line in found
        if (match := EXCEPTION.search(line)) and not match["reason"].strip(" #") and not before.strip().startswith("#")
    ]
    assert (bare, unexplained) == ([], [])


@pytest.mark.parametrize("package", EVERYTHING)
def test_every_public_method_is_described(package: str) -> None:
    """A public method has a docstring, or says by `@override`, `@overload` or a comment that it stands elsewhere."""
    paths = sorted((ROOT / package).rglob("*.py"))
    assert [place for path in paths for place in _undescribed(path)] == []


def _undescribed(path: Path) -> Iterator[str]:
    source = path.read_text(encoding="utf-8").splitlines()
    found = ast.walk(ast.parse("\n".join(source), str(path)))
    classes = [node for node in found if isinstance(node, ast.ClassDef) and node.name[0] != "_"]
    for method in (node for owner in classes for node in owner.body):
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.name[0] != "_":
            inherits = any(
                "# docstring inherited" in line for line in source[method.lineno - 1 : method.body[0].lineno]
            )
            decorators = {ast.unparse(decorator) for decorator in method.decorator_list}
            if not (ast.get_docstring(method) or inherits or decorators & {"override", "overload"}):
                yield f"{path.relative_to(ROOT)}:{method.lineno} {method.name}"


@pytest.mark.needs("git")
def test_every_test_states_its_law() -> None:
    """Each test begins with a docstring, and each `raises` or `warns` matches the message."""
    found = list(nodes([path for path in committed(".py") if path.is_relative_to(ROOT / "tests")]))
    silent = [
        place
        for place, node in found
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        if ast.get_docstring(node) is None
    ]
    unmatched = [
        place
        for place, node in found
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"pytest.raises", "pytest.warns"}
        if "match" not in {keyword.arg for keyword in node.keywords}
    ]
    assert (silent, unmatched) == ([], [])


@pytest.mark.parametrize(
    "package",
    ["scheduler", "client", "scheduler.custom", "lrtables", "client.optax", "client.keras", "client.records"],
)
def test_a_light_import_loads_nothing_heavy(package: str) -> None:
    """Importing the numbers, the client or what serves other packages loads none of those, nor the server."""
    loaded = python("import json, sys; __import__(sys.argv[1]); print(json.dumps(list(sys.modules)))", package)
    assert HEAVY & set(loaded) == set()


def test_no_import_touches_the_network() -> None:
    """Importing any module of the packages opens, resolves and binds no address."""
    script = """
import importlib, json, sys
touched = []
watched = {"socket." + name for name in ("connect", "bind", "getaddrinfo", "gethostbyname", "sendto")}
# urllib3 asks the machine for IPv6 by binding the loopback for a moment
urllib3_asks = ("socket.bind", ("::1", 0))
def watch(event, arguments):
    if event in watched and (event, arguments[1]) != urllib3_asks:
        touched.append(event + str(arguments[1:]))
sys.addaudithook(watch)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(touched))
"""
    assert python(script, *modules()) == []


def test_every_setting_is_documented() -> None:
    """The table in docs/settings.md has every setting of the server, in order, and no other."""
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    script = """
import json
from service.settings import Settings
prefix = Settings.model_config["env_prefix"]
rows = []
for name, field in Settings.model_fields.items():
    default = "the user's data directory" if field.default_factory else f"`{field.default}`"
    rows.append(f"| `{(prefix + name).upper()}` | {'' if default == '`None`' else default} | {field.description} |")
print(json.dumps(rows))
"""
    server = page[page.index("| variable | default") :].split("\n\n", maxsplit=1)[0]
    assert server.splitlines()[2:] == python(script)


def test_every_extra_is_in_the_readme(readme: str, project: dict[str, Any]) -> None:
    """README names every extra of the distribution, as pip takes it."""
    named = {name for group in re.findall(r"\[([a-z0-9, ]+)\]", readme) for name in re.split(r",\s*", group)}
    assert set(project["optional-dependencies"]) - named == set()


def test_the_changelog_is_of_this_version(project: dict[str, Any]) -> None:
    """The newest version in CHANGELOG is the version of the distribution."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[?(\d+\.\d+\.\d+)", changelog, re.MULTILINE)[0] == project["version"]
