"""Addresses of databases, and connections to SQLite."""

import re
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine

from service.database.metadata import Metadata, open_metadata
from service.errors import DatabaseError
from service.settings import Settings

OpenDatabase = Callable[..., Metadata]
Execute = Callable[..., list[dict[str, Any]]]

_SPEC = '{"schedule":{},"total_steps":3}'


def _digest(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'metadata.sqlite'}"


def test_another_writer_is_waited_for_and_no_longer(database_url: str, open_database: OpenDatabase) -> None:
    """While another process writes, readers go on, and writers are refused in time; afterwards they succeed."""
    metadata = open_database(database_url, 0.2)
    metadata.tables.record("s", _SPEC, _digest(1), 24)
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        assert metadata.tables.digest_of("s") == _digest(1)
        with pytest.raises(DatabaseError, match=r"gave no response within 0\.2 seconds|database is locked"):
            metadata.tables.record("t", _SPEC, _digest(2), 24)
        other.exec_driver_sql("ROLLBACK")
    assert metadata.tables.record("t", _SPEC, _digest(2), 24) == _digest(2)


def test_commits_are_durable(metadata: Metadata, execute: Execute) -> None:
    """The database keeps a write-ahead log."""
    metadata.tables.record("s", _SPEC, _digest(1), 24)
    assert execute("PRAGMA journal_mode") == [{"journal_mode": "wal"}]


def test_text_that_is_not_utf_8_is_damage(metadata: Metadata, execute: Execute) -> None:
    """A row with bytes that are not UTF-8, in a value or a key, counts as missing, and the others are read."""
    for number in range(1, 5):
        metadata.tables.record(f"s{number}", _SPEC, _digest(number), 24)
    execute("UPDATE specs SET spec = CAST(X'7B22FF227D' AS TEXT) WHERE spec_id = 's1'")
    execute("UPDATE specs SET spec_id = CAST(X'7331FF' AS TEXT) WHERE spec_id = 's2'")
    execute("UPDATE specs SET created_at = 9e999 WHERE spec_id = 's3'")
    assert len([line for line in metadata.verify_rows() if "checksum" in line]) == 3
    assert [spec.spec_id for spec in metadata.tables.every_spec()] == ["s4"]
    assert [metadata.tables.digest_of(f"s{number}") for number in range(1, 5)] == [None, None, None, _digest(4)]
    assert metadata.tables.record("s1", _SPEC, _digest(1), 24) == _digest(1)


def test_a_full_disk_is_an_error_and_no_damage(database_url: str) -> None:
    """On a full disk `record` raises; what was recorded stays, and with space again it succeeds."""
    script = """
import resource, sys
from service.database.metadata import open_metadata
from service.settings import Settings
from service.errors import DatabaseError
metadata = open_metadata(Settings(database_url=sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
count = 0
try:
    while True:
        metadata.tables.record(f"s{count}", "x" * 2000, f"d{count}", 8)
        count += 1
except DatabaseError as error:
    print(error)
assert count, count
assert [metadata.tables.digest_of(f"s{n}") for n in range(count)] == [f"d{n}" for n in range(count)]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert metadata.tables.record(f"s{count}", "{}", "last", 8) == "last"
assert list(metadata.verify_rows()) == []
metadata.close()
"""
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, database_url], capture_output=True, text=True, check=False
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.startswith("the database refused: ")


def test_a_file_beside_the_log_of_another_is_not_opened(tmp_path: Path) -> None:
    """SQLite would replay the log into the wrong file: it is refused until the original file is back."""
    path = tmp_path / "metadata.sqlite"
    with closing(open_metadata(Settings(data_dir=tmp_path))) as metadata:
        path.rename(tmp_path / "elsewhere")
        shutil.copy(tmp_path / "elsewhere", path)
        for _ in range(2):
            with pytest.raises(DatabaseError, match=r"was replaced, and .*-wal is of the file before: put that back"):
                metadata.check()
        (tmp_path / "elsewhere").replace(path)
        metadata.check()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file in the place of the data directory is named in the error."""
    (tmp_path / "data").write_text("")
    named = re.escape(f"the database's file {tmp_path}/data/inner/metadata.sqlite cannot be made: ")
    with pytest.raises(DatabaseError, match=named):
        open_metadata(Settings(data_dir=tmp_path / "data" / "inner"))


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """A file that is no database is refused, and not changed."""
    path = tmp_path / "metadata.sqlite"
    path.write_text("no database at all" * 100)
    with pytest.raises(DatabaseError, match="file is not a database"):
        open_metadata(Settings(data_dir=tmp_path))
    assert path.read_text() == "no database at all" * 100


@pytest.mark.parametrize(
    "url",
    [
        "secret",
        "mysql://u:secret@host/name",
        "postgresql://u:secret@host@host/name",
        "postgresql://u:secret@host",
        "sqlite://",
    ],
)
def test_a_malformed_address_is_not_repeated(url: str) -> None:
    """A malformed address is refused with an example of a good one, and is not repeated in the error."""
    with pytest.raises(DatabaseError, match="database_url must be like postgresql://") as refused:
        Metadata(url, timeout_seconds=1.0)
    assert "secret" not in "".join(traceback.format_exception(refused.value))
