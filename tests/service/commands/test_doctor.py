"""`lrtables doctor`."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from service.commands.doctor import add_parser
from service.commands.options import CommandError, settings_of


def doctor(*words: str) -> int:
    parser = argparse.ArgumentParser("lrtables")
    add_parser(parser.add_subparsers(required=True))
    parsed = parser.parse_args(["doctor", *words])
    status: int = parsed.run(parsed)
    return status


@pytest.fixture
def well(tmp_path: Path, free_port: int) -> list[str]:
    """Return arguments with which all checks pass."""
    return ["--data-dir", str(tmp_path / "data"), "--port", str(free_port)]


def test_settings_and_checks_are_printed(capsys: pytest.CaptureFixture[str], well: list[str]) -> None:
    """There is a line for each setting that is not a default, and for each check; the exit status is 0."""
    assert doctor(*well) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"setting  port = {well[3]} (argument)" in lines
    assert any(line.startswith("ok       database: ") for line in lines)
    assert not any(line.startswith("failed") for line in lines)


def test_a_failed_check_is_printed(
    capsys: pytest.CaptureFixture[str], well: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed check is a line, and the exit status is 1."""
    monkeypatch.setenv("LRTABLES_REQUIRE_TOKENS", "true")
    assert doctor(*well) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("failed")]
    assert len(failed) == 1
    assert "lrtables token create" in failed[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [(os.mkfifo, "is a FIFO, no file"), (lambda path: path.symlink_to(path), "is a link in a circle, no file")],
    ids=["FIFO", "circle"],
)
def test_a_database_that_is_no_file_is_a_failure(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, well: list[str], make: Callable[[Path], object], message: str
) -> None:
    """A FIFO does not block the command, and a link in a circle does not look like a missing database."""
    (tmp_path / "data").mkdir()
    make(tmp_path / "data" / "metadata.sqlite")
    assert doctor(*well) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("failed")]
    assert len(failed) == 1
    assert failed[0].startswith(f"failed   database: the database refused: {message}")


def test_json_has_the_same_results(capsys: pytest.CaptureFixture[str], well: list[str]) -> None:
    """With --json the settings and checks are one JSON document."""
    assert doctor(*well, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["well"] is True
    assert document["settings"]["port"] == {"value": int(well[3]), "source": "argument"}
    assert {"name", "state", "detail"} == set(document["checks"][0])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--store-url", "s3://user:secret@bucket"),
        ("--store-url", "https://u:" + 200 * "secret" + "@host/bucket"),
        ("--database-url", "postgresql://user:secret@127.0.0.1:99999/name"),
        ("--database-url", "mysql://user:secret@127.0.0.1/name"),
        ("--database-url", "postgresql://127.0.0.1:1/name?user=a&password=secret"),
    ],
    ids=["bucket", "long", "port", "driver", "query"],
)
def test_no_password_is_shown(capsys: pytest.CaptureFixture[str], well: list[str], option: str, value: str) -> None:
    """A password in a URL that is invalid or unreachable is never printed."""
    for more in ([], ["--json"]):
        assert doctor(*well, option, value, *more) == 1
        captured = capsys.readouterr()
        assert option[2:].replace("-", "_") in captured.out
        assert "secret" not in captured.out + captured.err


def test_an_invalid_setting_is_a_failed_check(
    capsys: pytest.CaptureFixture[str], well: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invalid setting is reported as a failed check."""
    monkeypatch.setenv("LRTABLES_MAX_STEPS", "-3")
    assert doctor(*well) == 1
    assert capsys.readouterr().out.startswith("failed   settings: ")
    assert doctor(*well, "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["well"], document["settings"]) == (False, {})
    assert "max_steps" in document["checks"][0]["detail"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "abc", "port must be a valid integer, unable to parse string as an integer, got 'abc'"),
        ("ALLOWED_HOSTS", "http://x", "allowed_hosts: must be host names without ports, or .*, got 'http://x'"),
        (
            "STORE_URL",
            "s3://me:secret@b",
            "store_url .*; the value is not shown: it has an '@', perhaps after a password",
        ),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    """The error names the setting and what is wrong, and contains nothing of pydantic's own text."""
    monkeypatch.setenv(f"LRTABLES_{name}", value)
    with pytest.raises(CommandError, match=f"^{message}$"):
        settings_of(argparse.Namespace())


def test_a_misspelt_setting_in_a_file_is_named_with_the_right_one(tmp_path: Path) -> None:
    """The error about an unknown setting suggests those with similar names."""
    file = tmp_path / "lrtables.toml"
    file.write_text("prot = 80\n", encoding="utf-8")
    with pytest.raises(CommandError, match=r"^the server has no parameter 'prot': did you mean port"):
        settings_of(argparse.Namespace(config=file))


def test_a_missing_extra_is_named_with_its_pip_command(tmp_path: Path) -> None:
    """Without the service extra, the error has the command that installs it."""
    (tmp_path / "pydantic_settings.py").write_text(
        "raise ModuleNotFoundError('No module named pydantic_settings', name='pydantic_settings')"
    )
    script = """
import argparse, sys
from service.commands.doctor import add_parser
parser = argparse.ArgumentParser()
add_parser(parser.add_subparsers())
parsed = parser.parse_args(["doctor"])
try:
    parsed.run(parsed)
except Exception as error:
    print(type(error).__name__, error)
"""
    finished = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = f"{CommandError.__name__} the server needs pydantic_settings: pip install 'lrtables[service]'"
    assert finished.stdout.strip() == expected
