"""What is looked at before a server starts."""

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
    """Look at a server with these settings; each check by its name."""

    def look(**settings: Any) -> dict[str, Check]:
        found = checks.checks(Settings(**{"data_dir": tmp_path / "data", "port": free_port, **settings}))
        return {check.name: check for check in found}

    return look


def test_a_new_server_is_well(examine: Examine, tmp_path: Path) -> None:
    """Where there is nothing yet, nothing is wrong, and nothing is made by looking."""
    found = examine()
    assert {check.state for check in found.values()} == {"ok"}
    assert "made at the first start" in found["data directory"].detail
    assert "made at the first start" in found["database"].detail
    assert list(tmp_path.iterdir()) == []


def test_a_running_server_is_well(examine: Examine, server: ServerProcess) -> None:
    """A server may be looked at while it runs: its port is taken, by itself."""
    found = examine(port=server.port)
    assert {check.state for check in found.values()} == {"ok"}
    assert "a server answers there" in found["port"].detail
    assert "at revision" in found["database"].detail


def test_a_port_of_another_is_a_failure(examine: Examine) -> None:
    """A port that another program has is of no use."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        check = examine(port=other.getsockname()[1])["port"]
    assert (check.state, "Address already in use" in check.detail) == ("failed", True)


def test_a_directory_where_nothing_can_be_made_is_a_failure(examine: Examine) -> None:
    """A data directory that cannot be written to is a failure, for the superuser too."""
    assert examine(data_dir="/proc/lrtables")["data directory"].state == "failed"


def test_a_file_is_no_directory(examine: Examine, tmp_path: Path) -> None:
    """A data directory that is a file is a failure."""
    (tmp_path / "data").touch()
    found = examine()
    assert (found["data directory"].state, "Not a directory" in found["data directory"].detail) == ("failed", True)


def test_a_full_disk_is_worth_a_warning(examine: Examine) -> None:
    """A disk without room for two of the largest tables is named, and the server would still work."""
    assert examine(max_table_bytes=2**62)["data directory"].state == "warning"


@pytest.mark.parametrize("elsewhere", ["tables", "tmp"])
def test_a_folder_on_another_file_system_is_a_failure(examine: Examine, disk: SmallDisk, elsewhere: str) -> None:
    """A table gets its name by a link, which leads to no other file system; a probe leaves nothing behind."""
    data, other = disk.directory.parent / "data", disk.directory / elsewhere
    for folder in (data, other):
        folder.mkdir()
    (data / elsewhere).symlink_to(other)
    found = examine()["store"]
    assert (found.state, "cross-device" in found.detail) == ("failed", True)
    assert [list(data.iterdir()), list(other.iterdir())] == [[data / elsewhere], []]


def test_a_store_that_is_away_is_a_failure(examine: Examine, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not answer is found within its time."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port}")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    check = examine(store_url="s3://bucket/prefix", store_seconds=1)["store"]
    assert check.state == "failed"
    assert "secret" not in check.detail


@pytest.mark.needs("weed")
def test_a_store_that_answers_is_well(examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that could take a table now is well."""
    with S3Server(tmp_path / "objects") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        url = server.new_url()
        assert examine(store_url=url)["store"] == Check("store", "ok", f"{url} answers")


def test_a_database_that_answers_is_well(examine: Examine, metadata: Metadata, database_url: str) -> None:
    """A database at the revision of this version is well; its password is not told."""
    check = examine(database_url=database_url)["database"]
    assert (check.state, check.detail.startswith(f"{metadata.url} answers, at revision ")) == ("ok", True)


def test_a_database_that_is_away_is_a_failure(examine: Examine, free_port: int) -> None:
    """A database that does not answer is found within its time, and its password is not told."""
    url = f"postgresql://me:secret@127.0.0.1:{free_port}/name"
    found = examine(database_url=url, database_seconds=1, require_tokens=True)
    assert (found["database"].state, found["tokens"].state) == ("failed", "failed")
    assert "secret" not in str(found)


def test_a_database_of_another_version_is_a_failure(examine: Examine, tmp_path: Path) -> None:
    """A database at a later revision is named, and no upgrade is advised that would be refused."""
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
    """A database of an earlier version is named, and how to bring it to this one."""
    with closing(metadata_of(_made(tmp_path))) as metadata:
        metadata.upgrade("0001")
    check = examine()["database"]
    assert (check.state, "run 'lrtables db upgrade'" in check.detail) == ("failed", True)


def test_a_database_of_something_else_is_a_failure(examine: Examine, tmp_path: Path) -> None:
    """A database that the server would refuse, since others have their tables in it, is not empty."""
    with closing(sqlite3.connect(_made(tmp_path).data_dir / "metadata.sqlite")) as others:
        others.execute("CREATE TABLE users (name TEXT)")
    check = examine()["database"]
    assert (check.state, "tables of something else: users" in check.detail) == ("failed", True)


@pytest.mark.parametrize("name", ["100%", "why?", "no#1", "a b%20c"])
def test_a_strange_path_is_looked_at(examine: Examine, tmp_path: Path, name: str) -> None:
    """A database is found whatever the folder's name, and so are its tokens."""
    settings = Settings(data_dir=tmp_path / name)
    with closing(open_metadata(settings)) as metadata:
        metadata.tokens.add(token(1))
    found = examine(data_dir=tmp_path / name, require_tokens=True)
    assert "at revision" in found["database"].detail
    assert found["tokens"] == Check("tokens", "ok", "asked for, 1 valid")


def _made(tmp_path: Path) -> Settings:
    """Settings with a data directory that is there."""
    (tmp_path / "data").mkdir()
    return Settings(data_dir=tmp_path / "data")


def test_an_empty_database_is_well(examine: Examine, tmp_path: Path) -> None:
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
def test_tokens_are_needed_where_they_are_asked_for(
    examine: Examine, tmp_path: Path, tokens: list[TokenRow], state: str
) -> None:
    """A server that asks for tokens needs one that is valid."""
    with closing(open_metadata(_made(tmp_path))) as metadata:
        for row in tokens:
            metadata.tokens.add(row)
    assert examine(require_tokens=True)["tokens"].state == state
    assert examine()["tokens"] == Check("tokens", "ok", "not asked for on 127.0.0.1")


def test_an_open_server_is_a_failure(examine: Examine) -> None:
    """A server that others may reach without a token is refused, unless that is said to be meant."""
    assert examine(host="0.0.0.0", require_tokens=False)["tokens"].state == "failed"
    assert examine(host="0.0.0.0", require_tokens=False, insecure_no_auth=True)["tokens"].state == "ok"


def test_a_misspelt_variable_is_a_failure(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that means nothing, and is nearly a setting's, is named with it."""
    monkeypatch.setenv("LRTABLES_MAX_STEP", "5")
    assert examine()["variables"] == Check(
        "variables", "failed", "LRTABLES_MAX_STEP is no setting: is LRTABLES_MAX_STEPS meant?"
    )


def test_a_foreign_variable_is_worth_a_warning(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is like no setting is named; the client's own is no stranger."""
    monkeypatch.setenv("LRTABLES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("LRTABLES_TOKEN", "secret")
    assert examine()["variables"] == Check(
        "variables", "warning", "LRTABLES_SERVICE_HOST is no setting, and is not looked at"
    )


def test_more_connections_than_files_are_a_failure(examine: Examine) -> None:
    """A server may not promise more connections than its process may have files open."""
    check = examine(max_connections=10**9)["open files"]
    assert (check.state, "max_connections" in check.detail) == ("failed", True)


def test_versions_are_told(examine: Examine) -> None:
    """The versions of what the server is made of are told."""
    assert {"lrtables", "Python", "fastapi", "sqlalchemy"} <= set(examine()["packages"].detail.split())


def test_another_uvicorn_is_a_failure(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A uvicorn that connections cannot be built on is named, with the versions that they can."""
    assert examine()["uvicorn"].state == "ok"
    monkeypatch.delattr(HttpToolsProtocol, "_start_asgi_task")
    check = examine()["uvicorn"]
    assert check.state == "failed"
    assert "has no HttpToolsProtocol._start_asgi_task; pip install 'uvicorn[standard]" in check.detail


def test_a_missing_extra_is_a_failure(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra that the settings need and that is not installed is named as pip takes it."""
    monkeypatch.setitem(checks.EXTRAS, "s3", ("none-of-this-name",))
    assert examine()["packages"].state == "ok"
    check = examine(store_url="s3://bucket/prefix", store_seconds=0.1)["packages"]
    assert (check.state, "pip install 'lrtables[s3]'" in check.detail) == ("failed", True)


def test_each_setting_has_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments win over variables, these over the file, and the rest is the default; secrets are not shown."""
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
