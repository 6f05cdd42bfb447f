"""The command line against a real server, as a person or a script uses it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from lrtables.__main__ import main


class Result(NamedTuple):
    """What a command printed, and its exit status."""

    code: int
    out: str
    err: str


class CommandLine:
    """Runs `lrtables` in this process, with the address of a real server in its environment."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Result:
        try:
            code = main(words)
        except SystemExit as stopped:  # argparse, for what it cannot parse
            code = int(stopped.code or 0)
        return Result(code, *self._capsys.readouterr())

    def ok(self, *words: str) -> str:
        """What a command prints that succeeds, with nothing on standard error."""
        result = self(*words)
        assert (result.code, result.err) == (0, "")
        return result.out

    def json(self, *words: str) -> Any:
        """The JSON that a command prints."""
        return json.loads(self.ok(*words, "--json"))

    def refused(self, code: int, *words: str) -> str:
        """The one line on standard error of a command that fails with this status."""
        result = self(*words)
        assert (result.code, result.out) == (code, "")
        assert result.err.count("\n") == 1
        return result.err


@pytest.fixture
def lrtables(
    capsys: pytest.CaptureFixture[str], service_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> CommandLine:
    monkeypatch.setenv("LRTABLES_URL", service_url)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LRTABLES_CACHE", str(tmp_path / "cache"))
    return CommandLine(capsys)


@pytest.fixture
def name() -> str:
    """A run's name that no other test uses."""
    return f"test-{uuid4().hex[:12]}/bert"
