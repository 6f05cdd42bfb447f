"""What is built on uvicorn's insides is there, and another uvicorn is refused before anything breaks."""

import ast
import asyncio
import inspect
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState

from service.server import connection, uvicorn_adapter
from service.server.uvicorn_adapter import (
    NEEDED,
    SUPPORTED,
    UnsupportedUvicornError,
    UvicornConnection,
    check_uvicorn,
)
from tests.support.servers.connections import GET, PATIENCE, answer

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


def test_every_name_that_is_used_is_looked_for() -> None:
    """What the adapter takes from an object of uvicorn's, it looks for at the start."""
    tree = ast.parse(Path(uvicorn_adapter.__file__).read_text(encoding="utf-8"))
    found = [(ast.unparse(node.value), node.attr) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    ours = {*vars(UvicornConnection), *UvicornConnection.__slots__} - {*vars(HttpToolsProtocol)}
    objects = {
        HttpToolsProtocol: ("self", "super()"),
        RequestResponseCycle: ("cycle", "self.cycle"),
        FlowControl: ("self.flow",),
        ServerState: ("self.server_state",),
    }
    for owner, names in objects.items():
        used = {attribute for name, attribute in found if name in names} - ours
        assert used - {"__init__", "lines", "made_of"} <= {*NEEDED[owner]}, owner


def test_the_supported_versions_are_those_of_the_distribution() -> None:
    """The error names the versions that pyproject allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = map(Requirement, project["optional-dependencies"]["service"])
    (found,) = (one for one in wanted if one.name == "uvicorn")
    assert found.specifier == SpecifierSet(SUPPORTED)
    assert {one.operator for one in found.specifier} == {">=", "<"}


def test_a_connection_uses_the_adapters_names() -> None:
    """No module but the adapter imports uvicorn, and a connection reads nothing of uvicorn's but the event loop."""
    server = Path(connection.__file__).parent
    for path in server.rglob("*.py"):
        assert ("uvicorn" in _imports(path)) is (path.name == Path(uvicorn_adapter.__file__).name), path
    inside = UvicornConnection
    theirs = {name for owner in inside.__mro__[1:] for name in _all_names(owner)} - {*vars(inside), "loop"}
    tree = ast.parse(Path(connection.__file__).read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_self(node.value)}
    assert used & theirs == set()


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _imports(path: Path) -> set[str]:
    """The packages that a module imports."""
    found = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = [alias.name for node in found if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in found if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in names}


def _all_names(owner: type) -> set[str]:
    """The attributes of a class, and what its methods touch of its objects."""
    functions = [value for value in vars(owner).values() if inspect.isfunction(value)]
    return {name for name in vars(owner) if not name.startswith("__")} | {
        name for function in functions for name in function.__code__.co_names
    }


def test_uvicorn_keeps_the_state_that_connections_read() -> None:
    """uvicorn's connection says, step by step, how far it is with a request, in the attributes that ours reads."""
    asyncio.run(asyncio.wait_for(_steps_of_a_request(), PATIENCE))


async def _steps_of_a_request() -> None:
    permission = asyncio.Event()

    async def wait_and_answer(scope: Scope, receive: Receive, send: Send) -> None:
        await permission.wait()
        await answer(send)

    made: list[HttpToolsProtocol] = []
    config = uvicorn.Config(wait_and_answer, ws="none", log_config=None)
    config.load()

    def make() -> HttpToolsProtocol:
        made.append(HttpToolsProtocol(config, ServerState(), {}))
        return made[0]

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    _, writing = await asyncio.open_connection(*server.sockets[0].getsockname())
    await _until(lambda: bool(made) and made[0].transport is not None)
    one = made[0]
    seen: list[Any] = [one.scope, one.cycle, one.flow.read_paused, *one.pipeline]
    assert seen == [None, None, False]
    assert one.connections == {one}
    writing.write(b"POST / HTTP/1.1\r\nHost: local")
    await _until(lambda: one.scope is not None)
    assert one.cycle is None
    writing.write(b"host\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nx")
    await _until(lambda: one.cycle is not None)
    first = one.cycle
    assert first.scope is one.scope
    assert (first.more_body, first.response_started, first.response_complete, first.disconnected) == (
        (True, False, False, False)
    )
    assert first.waiting_for_100_continue
    writing.write(b"y" + GET)
    await _until(lambda: len(one.pipeline) == 1)
    assert (first.more_body, one.flow.read_paused, one.cycle is not first) == (False, True, True)
    permission.set()
    await _until(lambda: one.cycle.response_complete)
    assert (first.response_complete, one.cycle.keep_alive, list(one.pipeline)) == (True, True, [])
    writing.close()
    server.close()
    await _until(lambda: not one.connections)


async def _until(met: Callable[[], bool]) -> None:
    while not met():
        await asyncio.sleep(0.01)
