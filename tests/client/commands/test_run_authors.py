"""Who did what: on a server that asks for tokens, versions, proposals and the log book name the tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from client import Client
from service.database.metadata import open_metadata
from service.security.tokens import Limits, new_token
from service.settings import Settings
from tests.support.servers.fault_profiles import reset
from tests.support.servers.fault_proxy import FaultProxy
from tests.support.servers.process import ServerProcess

if TYPE_CHECKING:
    from tests.client.commands.conftest import CommandLine

HOLD = ("--from-step", "600", "--hold")


SCOPES = {"ada": ("read", "compute", "publish"), "agent": ("read", "propose")}


class Server(NamedTuple):
    """A server that asks for tokens, and a token for each person."""

    process: ServerProcess
    tokens: Mapping[str, str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data_dir = tmp_path_factory.mktemp("tokens") / "data"
    tokens = {}
    with closing(open_metadata(Settings(data_dir=data_dir))) as metadata:
        for person, scopes in SCOPES.items():
            tokens[person], row = new_token(person, scopes, ["*"], Limits(), expires_in=3600.0)
            metadata.tokens.add(row)
    with ServerProcess(data_dir, require_tokens=True) as running:
        yield Server(running, tokens)


@pytest.fixture
def act_as(lrtables: CommandLine, server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Send the token of a person from now on."""
    monkeypatch.setenv("LRTABLES_URL", server.process.url)
    return lambda person: monkeypatch.setenv("LRTABLES_TOKEN", server.tokens[person])


def test_everybody_is_named(lrtables: CommandLine, act_as: Callable[[str], None], name: str, tmp_path: Path) -> None:
    """An agent proposes and may do no more; a person approves; the history and the log book say who did what."""
    act_as("ada")
    lrtables.ok("run", "create", name, "WarmupWithDecay", "5e-4", "100", "1000")
    act_as("agent")
    assert "answered 403" in lrtables.refused(1, "run", "amend", name, *HOLD)
    lrtables.ok("run", "propose", name, *HOLD, "--reason", "the loss is flat")
    assert "answered 403" in lrtables.refused(1, "run", "approve", name, "1")
    act_as("ada")
    lrtables.ok("run", "approve", name, "1")
    assert "approved by ada, version 2\n" in lrtables.ok("run", "proposals", name)
    lrtables.ok("run", "export", name, "--output", str(tmp_path / "book"))
    text = (tmp_path / "book" / "log.md").read_text()
    assert "| 1 |  | created | ada |" in text
    assert "> the loss is flat" in text


def test_a_lost_answer_is_ones_own_by_its_author(
    lrtables: CommandLine, act_as: Callable[[str], None], server: Server, name: str
) -> None:
    """The version behind a lost answer is recognised by the name of the token that was sent."""
    act_as("ada")
    lrtables.ok("run", "create", name, "WarmupWithDecay", "5e-4", "100", "1000")
    with FaultProxy(server.process.port) as proxy, Client(proxy.url, deadline=30.0) as client:
        run = client.run(name)
        with proxy.faulty(reset(0), first=1):
            made = client.amend(run, {"template": "hold", "from_step": 600})
        assert (made.version, made.author) == (2, "ada")


def test_without_a_token_the_line_says_what_to_do(
    lrtables: CommandLine, act_as: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal names LRTABLES_TOKEN, and how a token is made."""
    monkeypatch.delenv("LRTABLES_TOKEN", raising=False)
    assert "set LRTABLES_TOKEN" in lrtables.refused(1, "run", "list")
