"""A server's data in an operator's hands: verified, backed up, restored, freed of what nothing names."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from scheduler import Spec, Table
from service.database.metadata import open_metadata
from service.operations.maintenance import verify
from service.settings import Settings
from service.storage.local import LocalStore
from service.tables.repository import table_key
from tests.service.conftest import MakeClient
from tests.support.servers.commands import run_command

STEPS = (16, 12, 8)


def lrtables(*arguments: object) -> tuple[int, str]:
    """The exit status of a command, and what it printed."""
    status, printed, said = run_command(*arguments)
    return status, printed + said


@pytest.fixture
def data(make_client: MakeClient, spec: dict[str, Any], tmp_path: Path) -> Path:
    """The data directory of a server that made three tables, was given a fourth, and was stopped."""
    client = make_client()
    for steps in STEPS:
        assert client.post("/v1/tables", json={**spec, "total_steps": steps}).status_code == 201
    assert (
        client.put("/v1/tables", content=b"".join(published().parts(claims=True)), headers=SAFETENSORS).status_code
        == 201
    )
    client.__exit__(None, None, None)
    return tmp_path / "data"


SAFETENSORS = {"Content-Type": "application/vnd.safetensors"}


def published() -> Table:
    """A table that no spec describes."""
    return Table({"lr": [0.5, 0.125, 0.25]})


def an_orphan() -> Table:
    """A table that the server does not have."""
    return Spec.model_validate_json(
        json.dumps({"schedule": {"kind": "Constant", "value": 1.0}, "total_steps": 3})
    ).table()


def path_of(directory: Path, table: Table) -> Path:
    """Where a table's file lies, in a data directory or a backup."""
    return directory / table_key(table.digest)


def grow_old(path: Path) -> None:
    """Let a file have been written two hours ago."""
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 7200))


def digests(data: Path) -> dict[str, str]:
    """Every spec id and its digest."""
    metadata = open_metadata(Settings(data_dir=data))
    found = {row.spec_id: row.digest for row in metadata.tables.every_spec()}
    metadata.close()
    return found


def flip(path: Path, at: int) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def test_what_is_well_is_verified(data: Path) -> None:
    """Four tables, with a row each, and three specs: all are read, and nothing is found."""
    assert lrtables("verify", "--data-dir", data) == (0, "11 files and rows verified, 0 with problems\n")


def test_a_spec_of_an_earlier_revision_is_well(data: Path) -> None:
    """A kind may be revised: the specs that an earlier release computed keep their ids, and verify says nothing."""
    with closing(open_metadata(Settings(data_dir=data))) as metadata:
        row = next(metadata.tables.every_spec())
        metadata.tables.record("0" * 64, row.spec, row.digest, 8)
    assert lrtables("verify", "--data-dir", data) == (0, "12 files and rows verified, 0 with problems\n")


@pytest.mark.parametrize("at", [0, 9, 40, 200, 300, -40, -1])
def test_a_flipped_bit_of_a_table_is_found(data: Path, at: int) -> None:
    """One changed bit in a table's length, header, digest or values is a problem that names the file."""
    path = max((data / "tables").rglob("*.safetensors"), key=lambda path: path.stat().st_size)
    flip(path, at)
    status, said = lrtables("verify", "--data-dir", data)
    assert (status, path.name in said, "1 with problems" in said) == (1, True, True)


@pytest.mark.parametrize(
    ("table", "key", "change", "which"),
    [
        ("specs", "spec_id", "digest = replace(digest, substr(digest, 1, 1), 'f')", "digest NOT LIKE 'f%'"),
        ("specs", "spec_id", "spec = replace(spec, '0.5', '0.25')", "true"),
        ("tables", "digest", "nbytes = nbytes + 1", "claim IS NULL"),
        ("tables", "digest", "digest = substr(digest, 2) || '0'", "claim IS NOT NULL"),
    ],
)
def test_a_changed_row_is_found(data: Path, table: str, key: str, change: str, which: str) -> None:
    """A row that is no longer what was written is a problem."""
    with closing(sqlite3.connect(data / "metadata.sqlite")) as database, database:
        one = f"(SELECT min({key}) FROM {table} WHERE {which})"
        database.execute(f"UPDATE {table} SET {change} WHERE {key} = {one}")
        assert database.total_changes == 1
    status, said = lrtables("verify", "--data-dir", data)
    assert status == 1, said


def test_a_table_under_a_wrong_name_is_found(data: Path) -> None:
    """A whole table that lies under another digest is a problem, and so is the one that is missing there."""
    first, second = sorted((data / "tables").rglob("*.safetensors"))[:2]
    second.write_bytes(first.read_bytes())
    status, said = lrtables("verify", "--data-dir", data)
    assert (status, f"it is the table {first.stem}" in said) == (1, True)
    second.unlink()
    status, said = lrtables("verify", "--data-dir", data)
    assert (status, f"table {second.stem} has no file" in said) == (1, True)


@pytest.mark.parametrize("nbytes", [0, 7])
def test_a_file_that_was_cut_short_is_found(data: Path, tmp_path: Path, nbytes: int) -> None:
    """What a power cut left of a file is a problem as any: a line of `verify`, and of `backup`."""
    path = path_of(data, published())
    path.write_bytes(path.read_bytes()[:nbytes])
    status, said = lrtables("verify", "--data-dir", data)
    assert (status, path.name in said, "1 with problems" in said) == (1, True, True)
    status, said = lrtables("backup", tmp_path / "backup", "--data-dir", data)
    assert (status, path.name in said, said.count("\n")) == (2, True, 1)


def test_a_table_that_is_made_meanwhile_is_no_problem(data: Path) -> None:
    """A table that was stored and recorded after the files were listed has one."""
    store = LocalStore(data, exclusive=False)
    metadata = open_metadata(Settings(data_dir=data))
    orphan = an_orphan()
    problems = verify(store, metadata)
    for _ in range(4):
        assert next(problems) is None  # the files; the rows come after
    with closing(LocalStore(data)) as server:
        server.put(table_key(orphan.digest), orphan.parts())
    metadata.tables.publish(orphan.digest, orphan.nbytes, None)
    assert [problem for problem in problems if problem] == []
    metadata.close()


def test_a_backup_restores_the_same(data: Path, tmp_path: Path, make_client: MakeClient) -> None:
    """A backup fills an empty server: the same specs, digests and bytes, those of a published table too."""
    assert lrtables("token", "create", "someone", "--scope", "read", "--data-dir", data)[0] == 0
    backup, other = tmp_path / "backup", tmp_path / "other"
    assert lrtables("backup", backup, "--data-dir", data)[:2] == (
        0,
        f"4 tables copied to {backup}, the metadata with them\n",
    )
    assert lrtables("backup", backup, "--data-dir", data)[1].startswith("0 tables copied")
    assert lrtables("restore", backup, "--data-dir", other)[1].startswith("4 tables restored")
    assert digests(other) == digests(data)
    assert lrtables("verify", "--data-dir", other)[0] == 0
    files = {path.name: path.read_bytes() for path in (data / "tables").rglob("*.safetensors")}
    assert {path.name: path.read_bytes() for path in (other / "tables").rglob("*.safetensors")} == files
    assert "someone" in lrtables("token", "list", "--data-dir", other)[1]


def test_a_damaged_table_is_not_backed_up(data: Path, tmp_path: Path) -> None:
    """A backup ends at a damaged table, and what an earlier one put in place stays as it was."""
    backup = tmp_path / "backup"
    path = sorted((data / "tables").rglob("*.safetensors"))[0]
    flip(path, -1)
    status, said = lrtables("backup", backup, "--data-dir", data)
    assert (status, path.name in said) == (2, True)
    assert not (backup / "metadata.jsonl").exists()
    assert lrtables("restore", backup, "--data-dir", tmp_path / "other")[0] == 2


def test_a_lost_table_that_can_be_computed_is_counted(data: Path, tmp_path: Path) -> None:
    """Tables without a file that a spec describes are backed up and restored without, which is said."""
    for path in (data / "tables").rglob("*.safetensors"):
        if path != path_of(data, published()):
            path.unlink()
    backup, other = tmp_path / "backup", tmp_path / "other"
    anew = "the metadata with them\n3 tables have no file, and will be computed again when requested\n"
    assert lrtables("backup", backup, "--data-dir", data) == (0, f"1 tables copied to {backup}, {anew}")
    assert lrtables("restore", backup, "--data-dir", other) == (0, f"1 tables restored from {backup}, {anew}")
    assert digests(other) == digests(data)


def test_a_lost_table_that_cannot_be_computed_is_an_error(data: Path, tmp_path: Path) -> None:
    """A table that no spec describes, and whose file is missing, ends a backup, and a restore, with its digest."""
    lost = f"table {published().digest} has no file, and nothing says what it was computed from"
    backup, other = tmp_path / "backup", tmp_path / "other"
    assert lrtables("backup", backup, "--data-dir", data)[0] == 0
    path_of(data, published()).unlink()
    assert lrtables("backup", backup, "--data-dir", data)[0] == 0  # it has the table from before
    status, said = lrtables("backup", tmp_path / "new", "--data-dir", data)
    assert (status, lost in said, (tmp_path / "new" / "metadata.jsonl").exists()) == (2, True, False)
    path_of(backup, published()).unlink()
    status, said = lrtables("restore", backup, "--data-dir", other)
    assert (status, lost in said, digests(other)) == (2, True, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"format": "lrtables-metadata"}\n', "the backup has revision None"),
        (b'{"format": "lrtables-metadata", "revision": "\xff"}\n', "the backup is damaged"),
        pytest.param(b"[" * 100_000, "the backup is damaged", id="nested"),
        (b"", "this file is not a backup"),
    ],
)
def test_a_backup_of_nonsense_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    """Whatever is wrong with the metadata of a backup, it is said in one line, and nothing is restored."""
    (tmp_path / "metadata.jsonl").write_bytes(content)
    status, said = lrtables("restore", tmp_path, "--data-dir", tmp_path / "other")
    assert (status, message in said, said.count("\n")) == (2, True, 1)


def test_a_damaged_backup_is_not_restored(data: Path, tmp_path: Path) -> None:
    """A backup with one changed bit, in a table or in the metadata, is refused."""
    for number, name in enumerate(["metadata.jsonl", "*.safetensors"]):
        backup = tmp_path / f"backup-{number}"
        assert lrtables("backup", backup, "--data-dir", data)[0] == 0
        flip(sorted(backup.rglob(name))[0], 100)
        other = tmp_path / f"other-{number}"
        assert lrtables("restore", backup, "--data-dir", other)[0] == 2
        assert not (other / "tables").exists()


def test_a_server_that_has_something_is_not_restored_over(data: Path, tmp_path: Path) -> None:
    """A backup goes into an empty database only."""
    assert lrtables("backup", tmp_path / "backup", "--data-dir", data)[0] == 0
    path_of(data, published()).unlink()
    status, said = lrtables("restore", tmp_path / "backup", "--data-dir", data)
    assert (status, "empty" in said) == (2, True)
    assert not path_of(data, published()).exists()


def test_only_what_nothing_names_is_removed(data: Path) -> None:
    """A table that has no row is removed, once it is not only asked what would be; the others stay."""
    orphan = an_orphan()
    store = LocalStore(data)
    store.put(table_key(orphan.digest), orphan.parts())
    store.close()
    expected = f"{table_key(orphan.digest)} {len(orphan.to_bytes())}\n1 tables, {len(orphan.to_bytes())} bytes"
    assert lrtables("gc", "--data-dir", data) == (0, "0 tables, 0 bytes removed\n")  # it may be about to be recorded
    grow_old(path_of(data, orphan))
    assert lrtables("gc", "--dry-run", "--data-dir", data) == (0, f"{expected} would be removed\n")
    assert lrtables("gc", "--data-dir", data) == (0, f"{expected} removed\n")
    assert lrtables("gc", "--data-dir", data) == (0, "0 tables, 0 bytes removed\n")
    assert lrtables("verify", "--data-dir", data)[0] == 0


def test_nothing_is_removed_by_the_metadata_of_another_store(data: Path, tmp_path: Path) -> None:
    """Where the metadata know none of the files, they are of another store, and all files stay."""
    other = tmp_path / "other"
    assert lrtables("token", "create", "someone", "--scope", "read", "--data-dir", other)[0] == 0
    files = sorted((data / "tables").rglob("*.safetensors"))
    for path in files:
        grow_old(path)
    status, said = lrtables("gc", "--data-dir", data, "--database-url", f"sqlite:///{other}/metadata.sqlite")
    assert (status, f"{other}/metadata.sqlite knows none of the tables in {data.as_uri()}" in said) == (2, True)
    assert sorted((data / "tables").rglob("*.safetensors")) == files
    assert lrtables("gc", "--data-dir", other)[0] == 0
