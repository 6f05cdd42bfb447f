"""`lrtables token` creates, lists and revokes tokens, shows a secret once, and has errors of one line."""

from __future__ import annotations

import argparse
import json
import re
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from service.commands import token as command
from service.commands.options import CommandError
from service.database.metadata import open_metadata
from service.database.tokens import TokenRow
from service.security.tokens import SCOPES, TOKEN, token_hash
from service.settings import Settings


class Result(NamedTuple):
    code: int
    out: str
    err: str


class Run:
    """Runs the command as the command line does, with its own data directory."""

    def __init__(self, capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
        self._capsys = capsys
        self._data_dir = data_dir

    def __call__(self, *words: str) -> Result:
        parser = argparse.ArgumentParser("lrtables")
        command.add_parser(parser.add_subparsers(required=True))
        parsed = parser.parse_args(["token", *words, "--data-dir", str(self._data_dir)])
        return Result(parsed.run(parsed), *self._capsys.readouterr())

    def json(self, *words: str) -> Any:
        result = self(*words, "--json")
        assert result.code == 0
        assert re.sub(r"^created a new, empty database: \S+\n", "", result.err) == ""  # the first one does
        return json.loads(result.out)

    def rows(self) -> list[TokenRow]:
        with closing(open_metadata(Settings(data_dir=self._data_dir))) as metadata:
            return metadata.tokens.every_token()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    return Run(capsys, tmp_path / "data")


def test_only_the_token_is_printed_to_standard_output(run: Run) -> None:
    """A script can read the token from standard output; its ID and expiry are on standard error."""
    result = run("create", "ci", "--scope", "read")
    token = result.out.removesuffix("\n")
    (row,) = run.rows()
    assert result.code == 0
    assert TOKEN.fullmatch(token)
    assert row.hash == token_hash(token)
    created, expires = result.err.splitlines()
    assert re.fullmatch(r"created a new, empty database: sqlite:///\S+/data/metadata\.sqlite", created)
    assert re.fullmatch(rf"token {row.token_id} expires: 20.*; it is not shown again", expires)


def test_a_new_database_is_mentioned_once(run: Run) -> None:
    """A misspelt --data-dir is noticed by the database that is created; the next command finds it, and is silent."""
    first, second = (run("create", "ci", "--scope", "read").err for _ in range(2))
    assert (first.count("created a new, empty database"), second.count("created")) == (1, 0)


def test_all_options_are_stored(run: Run) -> None:
    """Scopes, namespaces, limits and expiry are those of the command line."""
    started = time.time()
    words = [
        "--scope",
        "read, compute",
        "--scope",
        "propose",
        "--namespace",
        "team-a/*",
        "--namespace=b",
        "--expires",
        "12h",
    ]
    made = run.json("create", "team a", *words, "--limit", "requests_per_second=0.5", "--limit=max_steps=100")
    (row,) = run.rows()
    assert (row.name, row.scopes, row.namespaces) == ("team a", ["read", "compute", "propose"], ["team-a/*", "b"])
    assert row.limits == {"requests_per_second": 0.5, "max_steps": 100}
    assert row.created_at >= started
    assert row.expires_at == row.created_at + 12 * 3600
    assert made["token_id"] == row.token_id
    assert token_hash(made["token"]) == row.hash


@pytest.mark.parametrize(("text", "days"), [("90m", 0.0625), ("36h", 1.5), ("90d", 90.0), ("52w", 364.0)])
def test_an_expiry_is_a_number_and_a_unit(run: Run, text: str, days: float) -> None:
    """The unit is a letter: minutes, hours, days or weeks."""
    run.json("create", "ci", "--scope", "read", "--expires", text)
    (row,) = run.rows()
    assert row.expires_at == row.created_at + days * 86_400


def test_options_have_defaults(run: Run) -> None:
    """By default a token covers every namespace, has no limits, and expires after 90 days."""
    run.json("create", "ci", "--scope", "read")
    run.json("create", "ci", "--scope", "read", "--expires", "never")
    first, second = run.rows()
    assert (first.namespaces, first.limits) == (["*"], {})
    assert first.expires_at == first.created_at + 90 * 86_400
    assert second.expires_at is None


@pytest.mark.parametrize("scope", SCOPES)
def test_every_scope_is_in_the_help(capsys: pytest.CaptureFixture[str], scope: str) -> None:
    """`lrtables token create --help` explains each scope."""
    parser = argparse.ArgumentParser("lrtables")
    command.add_parser(parser.add_subparsers(required=True))
    with pytest.raises(SystemExit, match="0"):
        parser.parse_args(["token", "create", "--help"])
    assert f"{scope} (" in capsys.readouterr().out


def test_the_list_has_no_secret(run: Run) -> None:
    """The list shows everything about each token except its text and its hash, in columns or as JSON."""
    token = run("create", "ci", "--scope", "read", "--limit", "max_steps=5").out.strip()
    run("create", "other", "--scope", "admin", "--expires", "never")
    listed, data = run("list").out, run.json("list")
    assert [line.split()[1:4] for line in listed.splitlines()] == [
        ["name", "state", "scopes"],
        ["ci", "valid", "read"],
        ["other", "valid", "admin"],
    ]
    assert listed.splitlines()[1].split()[5] == "max_steps=5"
    assert listed.splitlines()[2].split()[4:] == ["*", "-", "never"]
    assert [item["name"] for item in data] == ["ci", "other"]
    for secret in (token, token_hash(token)):
        assert secret not in listed + json.dumps(data)


def test_an_empty_list_has_column_titles(run: Run) -> None:
    """Without tokens the list is the titles of the columns, and in JSON an empty list."""
    assert run.rows() == []  # creates the database
    assert run("list").out.split() == ["token_id", "name", "state", "scopes", "namespaces", "limits", "expires_at"]
    assert run.json("list") == []


@pytest.mark.parametrize("words", [["list"], ["revoke", "0123456789ab"]])
def test_a_missing_database_is_not_created(run: Run, tmp_path: Path, words: list[str]) -> None:
    """A mistyped data directory is rejected, and not created."""
    with pytest.raises(CommandError, match=r"there is no metadata in sqlite://.*/data/metadata\.sqlite"):
        run(*words)
    assert list(tmp_path.iterdir()) == []


def test_a_revoked_token_stays_in_the_list(run: Run) -> None:
    """A token is revoked by its public ID. Revoking it again does not change the time."""
    made = run.json("create", "ci", "--scope", "read")
    assert (
        run("revoke", made["token_id"]).out == f"token {made['token_id']} is revoked: servers refuse it in 10 seconds\n"
    )
    (first,) = run.json("list")
    again = run.json("revoke", made["token_id"])
    assert (first["state"], again) == ("revoked", first)


def test_an_expired_token_is_listed_as_expired(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of a token in the list is expired after its expiry."""
    run.json("create", "ci", "--scope", "read", "--expires", "1m")
    later = time.time() + 61
    monkeypatch.setattr("service.commands.token.time.time", lambda: later)
    assert [item["state"] for item in run.json("list")] == ["expired"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(
            ["create", "a", "--scope", "write"], "scope must be read, compute, propose, publish or admin", id="scope"
        ),
        pytest.param(
            ["create", "", "--scope", "read"], "name must be 1 to 100 printable characters, got ''", id="name"
        ),
        pytest.param(
            ["create", "a", "--scope", "read", "--namespace", "/"], "namespace must be like .* got '/'", id="namespace"
        ),
        pytest.param(
            ["create", "a", "--scope", "read", "--expires", "soon"],
            "--expires must be like 30m, 12h, 90d, 52w, or never, got 'soon'",
            id="expires",
        ),
        pytest.param(["create", "a", "--scope=read", "--expires=0d"], "--expires must be like .* got '0d'", id="now"),
        pytest.param(
            ["create", "a", "--scope=read", "--limit", "steps=5"],
            "--limit must be one of requests_per_second, bytes_per_second, max_steps, got 'steps'",
            id="limit",
        ),
        pytest.param(
            ["create", "a", "--scope=read", "--limit", "max_steps=many"],
            "--limit max_steps must be .* 'many'",
            id="number",
        ),
        pytest.param(
            ["create", "a", "--scope=read", "--limit", "max_steps"],
            "--limit max_steps must be .* ''",
            id="no-number",
        ),
        pytest.param(
            ["create", "a", "--scope=read", "--limit=max_steps=1", "--limit=max_steps=2"],
            "--limit must name each limit only once, got max_steps=1 max_steps=2",
            id="twice",
        ),
        pytest.param(["revoke", "abc"], "there is no token with the ID 'abc': 'lrtables token list' shows", id="id"),
    ],
)
def test_an_invalid_argument_is_an_error_of_one_line(run: Run, words: list[str], message: str) -> None:
    """The error has the invalid value, in one line, and no token is created."""
    assert run.rows() == []  # creates the database
    with pytest.raises(CommandError, match=message) as caught:
        run(*words)
    assert "\n" not in str(caught.value)
    assert run.rows() == []


def test_a_refused_token_makes_no_database(run: Run) -> None:
    """What is wrong with a token is said before a database is made for it."""
    with pytest.raises(CommandError, match="scope must be"):
        run("create", "a", "--scope", "write")
    assert "created a new, empty database" in run("create", "a", "--scope", "read").err


def test_a_token_given_as_an_id_is_not_shown(run: Run) -> None:
    """The error about a token in place of its ID does not show the token."""
    made = run.json("create", "ci", "--scope", "read")
    with pytest.raises(CommandError, match="there is no token with the ID") as caught:
        run("revoke", made["token"])
    assert made["token"] not in str(caught.value)


def test_an_unreachable_database_is_an_error(run: Run, free_port: int) -> None:
    """The error about an unreachable database does not show the password."""
    url = f"postgresql://user:hidden@127.0.0.1:{free_port}/name"
    with pytest.raises(CommandError, match=r"127\.0\.0\.1|refused|database") as caught:
        run("list", "--database-url", url)
    assert "hidden" not in str(caught.value)
