"""The checks before a server starts."""

import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.database.metadata import Metadata, metadata_of, open_metadata
from service.database.tokens import TokenRow
from service.operations import doctor as checks
from service.operations.doctor import Check, sources
from service.settings import Settings
from tests.support.servers.process import ServerProcess
from tests.support.servers.s3 import S3Server
from tests.support.servers.small_disk import SmallDisk

Examine = Callable[..., dict[str, Check]]


@pytest.fixture
def examine(tmp_path: Path, free_port: int) -> Examine:
    """Return a function that runs all checks for these settings, and returns them by name."""

    def run(**settings: Any) -> dict[str, Check]:
        found = checks.checks(Settings(**{"data_dir": tmp_path / "data", "port": free_port, **settings}))
        return {check.name: check for check in found}

    return run


def test_a_new_server_passes(examine: Examine, tmp_path: Path) -> None:
    """All checks pass before the first start, and create nothing."""
    found = examine()
    assert {check.state for check in found.values()} == {"ok"}
    assert "created at the first start" in found["data directory"].detail
    assert "created at the first start" in found["database"].detail
    assert list(tmp_path.iterdir()) == []


def test_a_running_server_passes(examine: Examine, server: ServerProcess) -> None:
    """All checks pass while the server runs and uses its port."""
    found = examine(port=server.port)
    assert {check.state for check in found.values()} == {"ok"}
    assert "a server of lrtables is running there" in found["port"].detail
    assert "at revision" in found["database"].detail


def test_a_port_of_another_program_is_a_failure(examine: Examine) -> None:
    """A port that another program uses is a failure."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        check = examine(port=other.getsockname()[1])["port"]
    assert (check.state, "Address already in use" in check.detail) == ("failed", True)


def test_a_read_only_data_directory_is_a_failure(examine: Examine) -> None:
    """A data directory that cannot be written to is a failure, even for the superuser."""
    assert examine(data_dir="/proc/lrtables")["data directory"].state == "failed"


def test_a_file_as_data_directory_is_a_failure(examine: Examine, tmp_path: Path) -> None:
    """A data directory that is a file is a failure."""
    (tmp_path / "data").touch()
    found = examine()
    assert (found["data directory"].state, "Not a directory" in found["data directory"].detail) == ("failed", True)


def test_a_nearly_full_disk_is_a_warning(examine: Examine) -> None:
    """A disk without space for two tables of the largest size is a warning, because the server still works."""
    assert examine(max_table_bytes=2**62)["data directory"].state == "warning"


@pytest.mark.parametrize("elsewhere", ["tables", "tmp"])
def test_a_folder_on_another_file_system_is_a_failure(examine: Examine, disk: SmallDisk, elsewhere: str) -> None:
    """A hard link to another file system is impossible, and tables need one. The check leaves no file behind."""
    data, other = disk.directory.parent / "data", disk.directory / elsewhere
    for folder in (data, other):
        folder.mkdir()
    (data / elsewhere).symlink_to(other)
    found = examine()["store"]
    assert (found.state, "cross-device" in found.detail) == ("failed", True)
    assert [list(data.iterdir()), list(other.iterdir())] == [[data / elsewhere], []]


def test_an_unreachable_store_is_a_failure(examine: Examine, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not respond is a failure within `store_seconds`."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port}")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    check = examine(store_url="s3://bucket/prefix", store_seconds=1)["store"]
    assert check.state == "failed"
    assert "secret" not in check.detail


@pytest.mark.needs("weed")
def test_a_working_store_passes(examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that can store a table passes."""
    with S3Server(tmp_path / "objects") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        url = server.new_url()
        assert examine(store_url=url)["store"] == Check("store", "ok", f"{url} works")


def test_a_working_database_passes(examine: Examine, metadata: Metadata, database_url: str) -> None:
    """A database at the revision of this version passes; its password is not shown."""
    check = examine(database_url=database_url)["database"]
    assert (check.state, check.detail.startswith(f"{metadata.url} works, at revision ")) == ("ok", True)


def test_an_unreachable_database_is_a_failure(examine: Examine, free_port: int) -> None:
    """A database that does not respond is a failure within `database_seconds`; its password is not shown."""
    url = f"postgresql://me:secret@127.0.0.1:{free_port}/name"
    found = examine(database_url=url, database_seconds=1, require_tokens=True)
    assert (found["database"].state, found["tokens"].state) == ("failed", "failed")
    assert "secret" not in str(found)


def test_a_database_of_another_version_is_a_failure(examine: Examine, tmp_path: Path) -> None:
    """A database of a later version is a failure, and the detail advises no upgrade, which would be rejected."""
    with closing(open_metadata(_made(tmp_path))) as metadata:
        url = metadata.url
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'another'"))
    engine.dispose()
    check = examine()["database"]
    assert check.state == "failed"
    assert "revision another" in check.detail
    assert "a later version made it" in check.detail
    assert "db upgrade" not in check.detail


def test_an_older_database_is_a_failure(examine: Examine, tmp_path: Path) -> None:
    """A database of an earlier version is a failure, and the detail names the upgrade command."""
    with closing(metadata_of(_made(tmp_path))) as metadata:
        metadata.upgrade("0001")
    check = examine()["database"]
    assert (check.state, "run 'lrtables db upgrade'" in check.detail) == ("failed", True)


def test_a_database_of_another_program_is_a_failure(examine: Examine, tmp_path: Path) -> None:
    """A database with the tables of another program is a failure."""
    with closing(sqlite3.connect(_made(tmp_path).data_dir / "metadata.sqlite")) as others:
        others.execute("CREATE TABLE users (name TEXT)")
    check = examine()["database"]
    assert (check.state, "tables of something else: users" in check.detail) == ("failed", True)


@pytest.mark.parametrize("name", ["100%", "why?", "no#1", "a b%20c"])
def test_special_characters_in_a_path_are_escaped(examine: Examine, tmp_path: Path, name: str) -> None:
    """The database and its tokens are found in a folder with any name."""
    settings = Settings(data_dir=tmp_path / name)
    with closing(open_metadata(settings)) as metadata:
        metadata.tokens.add(token(1))
    found = examine(data_dir=tmp_path / name, require_tokens=True)
    assert "at revision" in found["database"].detail
    assert found["tokens"] == Check("tokens", "ok", "required, 1 valid")


def _made(tmp_path: Path) -> Settings:
    """Return settings with an existing data directory."""
    (tmp_path / "data").mkdir()
    return Settings(data_dir=tmp_path / "data")


def test_an_empty_database_passes(examine: Examine, tmp_path: Path) -> None:
    """A database without tables is filled at the first start."""
    settings = _made(tmp_path)
    (settings.data_dir / "metadata.sqlite").touch()
    with closing(metadata_of(settings)) as metadata:
        metadata.check()
    assert "empty until the first start" in examine()["database"].detail


def token(number: int, *, expires_at: float | None = None, revoked_at: float | None = None) -> TokenRow:
    return TokenRow(str(number), "name", f"{number:064x}", ["read"], ["*"], {}, 1.0, expires_at, revoked_at)


@pytest.mark.parametrize(
    ("tokens", "state"),
    [
        pytest.param([], "failed", id="none"),
        pytest.param([token(1, expires_at=2.0), token(2, revoked_at=2.0)], "failed", id="none-valid"),
        pytest.param([token(1, expires_at=2.0), token(2)], "ok", id="one-valid"),
    ],
)
def test_a_server_that_requires_tokens_needs_a_valid_one(
    examine: Examine, tmp_path: Path, tokens: list[TokenRow], state: str
) -> None:
    """Required tokens are a failure unless at least one is valid."""
    with closing(open_metadata(_made(tmp_path))) as metadata:
        for row in tokens:
            metadata.tokens.add(row)
    assert examine(require_tokens=True)["tokens"].state == state
    assert examine()["tokens"] == Check("tokens", "ok", "not required on 127.0.0.1")


def test_a_server_open_to_other_machines_is_a_failure(examine: Examine) -> None:
    """A server that other machines can reach without a token is a failure, unless insecure_no_auth permits it."""
    assert examine(host="0.0.0.0", require_tokens=False)["tokens"].state == "failed"
    assert examine(host="0.0.0.0", require_tokens=False, insecure_no_auth=True)["tokens"].state == "ok"


def test_a_misspelt_variable_is_a_failure(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable whose name is similar to a setting's is a failure that suggests the setting."""
    monkeypatch.setenv("LRTABLES_MAX_STEP", "5")
    assert examine()["variables"] == Check(
        "variables", "failed", "LRTABLES_MAX_STEP is no setting: did you mean LRTABLES_MAX_STEPS?"
    )


def test_an_unknown_variable_is_a_warning(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is similar to no setting is a warning; the client's own variable is not."""
    monkeypatch.setenv("LRTABLES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("LRTABLES_TOKEN", "secret")
    assert examine()["variables"] == Check(
        "variables", "warning", "LRTABLES_SERVICE_HOST is no setting, and is ignored"
    )


def test_more_connections_than_files_are_a_failure(examine: Examine) -> None:
    """max_connections beyond the process's limit of open files is a failure."""
    check = examine(max_connections=10**9)["open files"]
    assert (check.state, "max_connections" in check.detail) == ("failed", True)


def test_versions_are_listed(examine: Examine) -> None:
    """The detail of the packages lists their versions."""
    assert {"lrtables", "Python", "fastapi", "sqlalchemy"} <= set(examine()["packages"].detail.split())


def test_an_unsupported_uvicorn_is_a_failure(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A uvicorn that lacks a name that connections use is a failure; the detail has the supported versions."""
    assert examine()["uvicorn"].state == "ok"
    monkeypatch.delattr(HttpToolsProtocol, "_start_asgi_task")
    check = examine()["uvicorn"]
    assert check.state == "failed"
    assert "has no HttpToolsProtocol._start_asgi_task; pip install 'uvicorn[standard]" in check.detail


def test_a_missing_extra_is_a_failure(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing extra that the settings need is a failure; the detail has the pip command."""
    monkeypatch.setitem(checks.EXTRAS, "s3", ("none-of-this-name",))
    assert examine()["packages"].state == "ok"
    check = examine(store_url="s3://bucket/prefix", store_seconds=0.1)["packages"]
    assert (check.state, "pip install 'lrtables[s3]'" in check.detail) == ("failed", True)


def test_each_setting_has_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments override variables, and variables the file; other settings are defaults. Secrets are not shown."""
    file = tmp_path / "settings.toml"
    file.write_text('port = 1\nmax_steps = 2\nmax_columns = 3\ndatabase_url = "postgresql://me:secret@host/name"\n')
    monkeypatch.setenv("LRTABLES_MAX_STEPS", "4")
    monkeypatch.setenv("lrtables_port", "5")
    given = {"config": file, "port": 6, "host": None, "json": True}
    found = sources(Settings(config=file, port=6), given)
    assert found["port"] == (6, "argument")
    assert found["max_steps"] == (4, "LRTABLES_MAX_STEPS")
    assert found["max_columns"] == (3, str(file))
    assert found["host"] == ("127.0.0.1", "default")
    assert found["database_url"] == ("**********", str(file))
    assert set(found) == set(Settings.model_fields)
