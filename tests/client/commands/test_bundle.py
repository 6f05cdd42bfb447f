"""`lrtables export` and `import`: a run is carried to a cache in one file, verified there."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from client import Client, OfflineError
from client.cache.node_cache import NodeCache
from client.cache.run_files import RunFiles
from client.runs.bundle import open_bundle

if TYPE_CHECKING:
    from tests.client.commands.conftest import CommandLine

SCHEDULE = ("WarmupWithDecay", "5e-4", "100", "1000")


def test_a_run_is_carried(lrtables: CommandLine, name: str, tmp_path: Path) -> None:
    """Every version and its table are in the cache afterwards, and the head."""
    lrtables.ok("run", "create", name, *SCHEDULE)
    lrtables.ok("run", "move", name, "Constant", "0.1", "--steps", "10")
    bundle, folder = str(tmp_path / "runs.zip"), tmp_path / "elsewhere"
    assert lrtables.ok("export", name, bundle) == f"{bundle}: 1 run, 2 versions, 2 tables\n"
    out = lrtables.ok("import", bundle, "--cache", str(folder))
    assert out == f"{folder}: 1 run, 2 tables, every digest verified\n"
    files, cache = RunFiles(folder), NodeCache(folder, 10**9)
    head = files.find(name)
    assert head is not None
    assert (head.version, files.find(name, 1) is not None) == (2, True)
    for version in (1, 2):
        run = files.find(name, version)
        assert run is not None
        assert cache.open(run.digest, verify=True) is not None


def test_a_carried_run_needs_no_network(
    lrtables: CommandLine, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An offline client reads the run and its table from the cache: creating a socket would be an error."""
    lrtables.ok("run", "create", name, *SCHEDULE, "--reason", "first run")
    digest = lrtables.json("run", "move", name, "Constant", "0.1", "--steps", "10")["digest"]
    lrtables.ok("export", name, str(tmp_path / "runs.zip"))
    monkeypatch.setenv("LRTABLES_CACHE", str(tmp_path / "cluster"))
    monkeypatch.setenv("LRTABLES_OFFLINE", "1")
    monkeypatch.delenv("LRTABLES_URL")

    def no_socket(*arguments: object, **options: object) -> None:
        raise AssertionError("a socket was created")

    monkeypatch.setattr(socket, "socket", no_socket)
    with (
        Client() as client,
        pytest.raises(OfflineError, match=f"the run {name} was looked for: it is not in the cache"),
    ):
        client.run(name)
    lrtables.ok("import", str(tmp_path / "runs.zip"))
    with Client(offline=True) as client:
        run = client.run(name)
        assert (run.version, run.digest, run.stale) == (2, digest, True)
        assert client.get(run).lr.tolist() == [0.1] * 10
        assert client.get(client.run(name, 1)).total_steps == 1000
    assert f"{name}  version 2  (move)" in lrtables.ok("run", "show", name)
    assert "offline: version 3 of the run" in lrtables.refused(1, "run", "show", name, "--version", "3")


def test_several_runs_are_one_file(lrtables: CommandLine, name: str, tmp_path: Path) -> None:
    """Runs of the same table share it; one that is named twice is in it once."""
    lrtables.ok("run", "create", name, *SCHEDULE)
    lrtables.ok("run", "create", f"{name}-2", *SCHEDULE)
    lrtables.ok("export", name, f"{name}-2", name, str(tmp_path / "runs.zip"))
    with open_bundle(tmp_path / "runs.zip") as bundle:
        assert (bundle.names, len(bundle.digests)) == ([name, f"{name}-2"], 1)


def test_what_cannot_be_carried_is_one_line(lrtables: CommandLine, name: str, tmp_path: Path) -> None:
    """An unknown run is status 1, like a damaged file; nothing is written."""
    bundle = tmp_path / "runs.zip"
    assert "answered 404" in lrtables.refused(1, "export", name, str(bundle))
    assert not bundle.exists()
    assert "No such file" in lrtables.refused(2, "import", str(bundle))
    bundle.write_bytes(b"text")
    assert "is no bundle" in lrtables.refused(1, "import", str(bundle))


def test_a_cache_that_cannot_be_written_is_an_error(lrtables: CommandLine, name: str, tmp_path: Path) -> None:
    """Importing is for the cache: where that does not work, the command says so and fails."""
    lrtables.ok("run", "create", name, *SCHEDULE)
    lrtables.ok("export", name, str(tmp_path / "runs.zip"))
    (tmp_path / "file").write_text("in the place of the folder")
    line = lrtables("import", str(tmp_path / "runs.zip"), "--cache", str(tmp_path / "file"))
    assert line.code == 2
    assert "cannot be written" in line.err
