"""`lrtables verify`, `backup`, `restore` and `gc`: invalid arguments are errors of one line, and create no files."""

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import urllib3

from service.__main__ import main
from service.database.metadata import open_metadata
from service.settings import Settings
from tests.support.servers.process import ServerProcess


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory without tables."""
    with closing(open_metadata(Settings(data_dir=tmp_path / "data"))):
        return tmp_path / "data"


@pytest.mark.parametrize("words", [["verify"], ["backup", "BACKUP"], ["gc"], ["gc", "--dry-run"]])
def test_a_missing_data_directory_is_not_created(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """A mistyped data directory is rejected, and not created."""
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--data-dir", "typo"]) == 2
    error = "there is no metadata in sqlite:///typo/metadata.sqlite: check --data-dir or --database-url"
    assert capsys.readouterr().err == f"lrtables: {error}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_backup_is_rejected_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped backup is rejected before a data directory is created."""
    assert main(["restore", str(tmp_path / "nosuch"), "--data-dir", str(tmp_path / "data")]) == 2
    assert "holds no backup" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", ["backup", "restore"])
def test_a_backup_into_the_data_directory_is_rejected(
    data: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    """The data directory cannot hold its own backup, even if its path is spelled differently."""
    before = sorted(data.iterdir())
    assert main([words, str(data / ".." / "data"), "--data-dir", str(data)]) == 2
    assert "is the data directory itself" in capsys.readouterr().err
    assert sorted(data.iterdir()) == before


def test_a_dry_run_changes_nothing(
    server: ServerProcess, tmp_path: Path, spec: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """`gc --dry-run` works while a server is running, and `gc` does not."""
    with urllib3.PoolManager() as pool:
        assert pool.request("POST", f"{server.url}/v1/tables", json=spec).status == 201
    orphan = tmp_path / "data" / "tables" / "ab" / f"{'ab' * 32}.safetensors"
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"123")
    os.utime(orphan, (0, 0))
    before = sorted((tmp_path / "data").rglob("*"))
    assert main(["gc", "--dry-run", "--data-dir", str(tmp_path / "data")]) == 0
    assert capsys.readouterr().out.endswith("1 tables, 3 bytes would be removed\n")
    assert main(["gc", "--data-dir", str(tmp_path / "data")]) == 2
    assert "another server uses the data directory" in capsys.readouterr().err
    assert sorted((tmp_path / "data").rglob("*")) == before
