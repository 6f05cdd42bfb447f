"""`lrtables db status` and `upgrade`."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from scheduler.canonical import canonical_hash
from service.__main__ import main
from service.database.metadata import Metadata, metadata_of
from service.settings import Settings

Execute = Callable[..., list[dict[str, Any]]]


def _head() -> str:
    with closing(Metadata("sqlite:///nowhere", timeout_seconds=1)) as metadata:
        return metadata.status()[1]


def test_the_status_of_a_missing_database_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`status` without a database prints the revision none, exits with 1, and creates nothing."""
    assert main(["db", "status", "--data-dir", str(tmp_path / "data")]) == 1
    out = capsys.readouterr().out
    assert out == f"{_address(tmp_path / 'data')} has revision none, this version needs {_head()}\n"
    assert not any(tmp_path.iterdir())


def test_an_upgrade_creates_a_missing_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`upgrade` creates a missing database; then `status` exits with 0, and another upgrade changes nothing."""
    options = ["--data-dir", str(tmp_path / "data")]
    assert main(["db", "upgrade", *options]) == 0
    assert main(["db", "status", *options]) == 0
    assert main(["db", "upgrade", *options]) == 0
    head, address = _head(), _address(tmp_path / "data")
    assert capsys.readouterr().out.splitlines() == [
        f"{address} has revision {head} now, it had none",
        f"{address} has revision {head}, this version needs {head}",
        f"{address} has revision {head} now, it had {head}",
    ]


def test_an_older_database_is_upgraded(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With an older revision `status` exits with 1, and `upgrade` upgrades it; no password is printed."""
    with closing(Metadata(database_url, timeout_seconds=60)) as metadata:
        metadata.upgrade("0001")
        options = ["--database-url", database_url]
        assert main(["db", "status", *options]) == 1
        assert main(["db", "upgrade", *options]) == 0
        assert metadata.status() == (_head(), _head())
        out = capsys.readouterr().out
        assert [line for line in out.splitlines() if "was copied" not in line] == [
            f"{metadata.url} has revision 0001, this version needs {_head()}",
            f"the database has revision 0001 and this version needs {_head()}: run 'lrtables db upgrade'",
            f"{metadata.url} has revision {_head()} now, it had 0001",
        ]
    password = make_url(database_url).password
    assert password is None or password not in out


def test_an_upgrade_copies_a_sqlite_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The copy is complete, has the older revision, and only its owner can read it. Without a change there is none."""
    options = ["--data-dir", str(tmp_path)]
    with closing(metadata_of(Settings(data_dir=tmp_path))) as metadata:
        metadata.upgrade("0001")
    row = {"spec_id": "s", "spec": "{}", "digest": "d" * 64, "created_at": 1.5}
    checksum = canonical_hash({"table": "specs", "row": row})
    with closing(sqlite3.connect(tmp_path / "metadata.sqlite")) as database, database:
        database.execute("INSERT INTO specs VALUES (?, ?, ?, ?, ?)", [*row.values(), checksum])
    assert main(["db", "upgrade", *options]) == 0
    copy = tmp_path / f"metadata.sqlite.before-{_head()}"
    assert f"the previous database was copied to {copy}" in capsys.readouterr().out.splitlines()
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(Metadata(f"sqlite:///{copy}", timeout_seconds=60)) as before:
        assert before.status()[0] == "0001"
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("SELECT spec_id, digest FROM specs").fetchall() == [("s", "d" * 64)]
    with closing(metadata_of(Settings(data_dir=tmp_path))) as after:
        assert after.tables.digest_of("s") == "d" * 64
    copy.unlink()
    assert main(["db", "upgrade", *options]) == 0
    assert "was copied" not in capsys.readouterr().out
    assert not copy.exists()


def test_without_its_copy_nothing_is_upgraded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If the copy cannot be made, the database is unchanged, and the error is one line."""
    with closing(metadata_of(Settings(data_dir=tmp_path))) as metadata:
        metadata.upgrade("0001")
        (tmp_path / f"metadata.sqlite.before-{_head()}").mkdir()
        assert main(["db", "upgrade", "--data-dir", str(tmp_path)]) == 2
        assert "cannot be copied" in capsys.readouterr().err
        assert metadata.status()[0] == "0001"


def test_a_later_database_is_not_upgraded(
    metadata: Metadata, database_url: str, execute: Execute, capsys: pytest.CaptureFixture[str]
) -> None:
    """The revision of a later version is shown, and its upgrade is an error of one line."""
    execute("UPDATE alembic_version SET version_num = 'f00d'")
    refusal = "the database has revision f00d, which this version does not know: a later version made it"
    assert main(["db", "status", "--database-url", database_url]) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [refusal]
    assert main(["db", "upgrade", "--database-url", database_url]) == 2
    assert capsys.readouterr().err == f"lrtables: {refusal}\n"


@pytest.mark.parametrize("action", ["status", "upgrade"])
def test_several_revisions_are_an_error(
    metadata: Metadata, database_url: str, execute: Execute, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    """A database with more than one revision is damaged, which is an error of one line."""
    execute("INSERT INTO alembic_version VALUES ('0001')")
    assert main(["db", action, "--database-url", database_url]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"lrtables: the database is damaged: it has the revisions 0001, {_head()}\n")


@pytest.mark.parametrize("action", ["status", "upgrade"])
def test_an_unreachable_database_is_an_error_of_one_line(
    capsys: pytest.CaptureFixture[str], free_port: int, action: str
) -> None:
    """Without the database the command exits with 2, and the error does not show the password."""
    assert main(["db", action, "--database-url", f"postgresql://user:secret@127.0.0.1:{free_port}/name"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "Connection refused" in err
    assert "secret" not in err


def _address(data_dir: Path) -> str:
    with closing(metadata_of(Settings(data_dir=data_dir))) as metadata:
        return metadata.url
