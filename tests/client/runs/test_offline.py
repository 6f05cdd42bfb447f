"""Runs without a network: listed, and their versions read, from what this machine has read before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from client import Client, OfflineError
from scheduler import Spec
from scheduler.compose import Constant
from scheduler.custom import WarmupWithDecay

if TYPE_CHECKING:
    from tests.client.conftest import ScriptedServer

SPEC = Spec(schedule=WarmupWithDecay(5e-4, 100, 1000), total_steps=1000)
HOLD = {"template": "hold", "from_step": 600}


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test uses."""
    return f"test-{uuid4().hex}"


def test_versions_that_were_read_are_known_offline(service_url: str, namespace: str, tmp_path: Path) -> None:
    """The history is there once it was read; where a version is missing, the error names it and the folder."""
    name = f"{namespace}/bert"
    with Client(service_url, cache=tmp_path) as client, Client(offline=True, cache=tmp_path) as offline:
        with pytest.raises(OfflineError, match=f"history of the run {name} was looked for: it is not in"):
            offline.run_versions(name)
        client.create_run(name, SPEC)
        with Client(service_url, cache=False) as other:
            other.amend(name, HOLD)
            other.amend(name, {**HOLD, "from_step": 500})
        client.amend(name, {**HOLD, "from_step": 400})
        with pytest.raises(OfflineError, match=f"the cache {tmp_path} lacks version 2 of 4"):
            offline.run_versions(name)
        found = client.run_versions(name)
        assert offline.run_versions(name) == found
        assert [run.version for run in found] == [1, 2, 3, 4]
    with Client(offline=True, cache=False) as nothing:
        with pytest.raises(OfflineError, match=r"the history of .* was looked for: there is no cache"):
            nothing.run_versions(name)
        with pytest.raises(OfflineError, match="the list of runs was looked for: there is no cache"):
            list(nothing.runs())


def test_runs_that_were_read_are_listed_offline(service_url: str, namespace: str, tmp_path: Path) -> None:
    """By name or by age, and by every condition of a search; without those that were deleted."""
    with Client(service_url, cache=tmp_path) as client:
        first = client.create_run(f"{namespace}/b", SPEC, labels={"model": "bert"})
        client.create_run(f"{namespace}/a", Spec(schedule=Constant(0.5), total_steps=3))
        client.delete_run(client.create_run(f"{namespace}/c", SPEC))
    (tmp_path / "runs" / "no run" / "x").mkdir(parents=True)
    (tmp_path / "runs" / "no run" / "x" / "head.json").write_text("{}")
    with Client(offline=True, cache=tmp_path) as offline:
        assert [(run.name, run.stale) for run in offline.runs()] == [("a", True), ("b", True)]
        assert [run.name for run in offline.runs(newest=True)] == ["a", "b"]
        for found in (
            offline.runs(label="model:bert"),
            offline.runs(kind="custom.WarmupWithDecay"),
            offline.runs(digest=first.digest[:9]),
        ):
            assert [run.name for run in found] == ["b"]
        assert [run.name for run in offline.runs(prefix=f"{namespace}/a")] == ["a"]
        assert [run.name for run in offline.runs(contains="/A")] == ["a"]
        assert list(offline.runs(label="model:gpt")) == []


def test_no_request_is_sent_offline(scripted: ScriptedServer, tmp_path: Path) -> None:
    """An offline client with an address asks nothing of it, for a list or a history either."""
    with Client(scripted.url, offline=True, cache=tmp_path) as offline:
        assert list(offline.runs()) == []
        with pytest.raises(OfflineError, match="the history of the run team-a/bert was looked for"):
            offline.run_versions("team-a/bert")
    assert scripted.seen == []


@pytest.mark.parametrize("words", [("run", "show"), ("run", "history"), ("run", "list")])
def test_the_commands_say_that_they_are_offline(
    service_url: str,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    """What comes from the cache is not called stale for the service's sake."""
    from lrtables.__main__ import main  # noqa: PLC0415  # it loads the server's commands

    name = f"{namespace}/bert"
    with Client(service_url, cache=tmp_path) as client:
        client.get(client.create_run(name, SPEC))
    monkeypatch.setenv("LRTABLES_OFFLINE", "1")
    monkeypatch.setenv("LRTABLES_CACHE", str(tmp_path))
    assert main([*words, *([name] if words[1] != "list" else [])]) == 0
    out = capsys.readouterr().out
    assert "offline: " in out
    assert "database" not in out
    assert main([*words, *([name] if words[1] != "list" else []), "--json"]) == 0
    json.loads(capsys.readouterr().out)
