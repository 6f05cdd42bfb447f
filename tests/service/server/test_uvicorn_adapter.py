"""What is built on uvicorn's insides is there, and another uvicorn is refused before anything breaks."""

import ast
import inspect
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState

from service.server import connection, uvicorn_adapter
from service.server.uvicorn_adapter import SUPPORTED, UnsupportedUvicornError, check_uvicorn

ROOT = Path(__file__).parents[3]


def test_the_installed_uvicorn_has_every_name() -> None:
    """With the pinned uvicorn nothing is missing."""
    check_uvicorn()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (HttpToolsProtocol, "_start_asgi_task"),
        (HttpToolsProtocol, "on_response_complete"),
        (FlowControl, "resume_reading"),
        (Server, "handle_exit"),
    ],
)
def test_a_method_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
    """The error names what uvicorn lacks, its version, and which one to install."""
    monkeypatch.delattr(owner, name)
    said = rf"uvicorn [\d.]+ .* has no {owner.__name__}.{name}; pip install 'uvicorn\[standard\]{SUPPORTED}'"
    with pytest.raises(UnsupportedUvicornError, match=said):
        check_uvicorn()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (RequestResponseCycle, "disconnected"),
        (RequestResponseCycle, "waiting_for_100_continue"),
        (ServerState, "default_headers"),
        (FlowControl, "read_paused"),
    ],
)
def test_an_attribute_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
    """Attributes that only instances have are looked for, too: where the class assigns them."""
    for method, function in list(vars(owner).items()):
        if inspect.isfunction(function) and name in function.__code__.co_names:
            monkeypatch.delattr(owner, method)
    with pytest.raises(UnsupportedUvicornError, match=f"has no {owner.__name__}\\."):
        check_uvicorn()


def test_the_supported_versions_are_those_of_the_distribution() -> None:
    """The error names the versions that pyproject allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = map(Requirement, project["optional-dependencies"]["service"])
    (uvicorn,) = (one for one in wanted if one.name == "uvicorn")
    assert uvicorn.specifier == SpecifierSet(SUPPORTED)
    assert {one.operator for one in uvicorn.specifier} == {">=", "<"}


def test_a_connection_uses_the_adapters_names() -> None:
    """No module but the adapter imports uvicorn, and a connection reads nothing of uvicorn's but the event loop."""
    server = Path(connection.__file__).parent
    for path in server.rglob("*.py"):
        assert ("uvicorn" in _imports(path)) is (path.name == Path(uvicorn_adapter.__file__).name), path
    inside = uvicorn_adapter.UvicornConnection
    theirs = {name for owner in inside.__mro__[1:] for name in _all_names(owner)} - {*vars(inside), "loop"}
    tree = ast.parse(Path(connection.__file__).read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_self(node.value)}
    assert used & theirs == set()


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _imports(path: Path) -> set[str]:
    """The packages that a module imports."""
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.module.partition(".")[0] for node in found if isinstance(node, ast.ImportFrom) and node.module} | {
        alias.name.partition(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import)
        for alias in node.names
    }


def _all_names(owner: type) -> set[str]:
    """The attributes of a class, and what its methods touch of its objects."""
    functions = [value for value in vars(owner).values() if inspect.isfunction(value)]
    return {name for name in vars(owner) if not name.startswith("__")} | {
        name for function in functions for name in function.__code__.co_names
    }
