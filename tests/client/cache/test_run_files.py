"""Runs in the cache: what was known of a run is found again, and nothing else is taken for it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from client.cache.run_files import RunFiles
from client.runs.documents import Run, parse_run

RUN = parse_run(
    {
        "namespace": "team-a",
        "name": "bert",
        "version": 3,
        "action": "create",
        "digest": "ab" * 32,
        "total_steps": 100,
        "axis": "step",
        "stride": 1,
        "created_at": "2026-11-30T16:50:04Z",
        "labels": {"a": "1"},
    }
)


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    return RunFiles(tmp_path)


def at(version: int, **changes: Any) -> Run:
    return dataclasses.replace(RUN, version=version, **changes)


def test_a_run_is_found_again(files: RunFiles) -> None:
    """The head is flagged stale, with its age; a version is as it was."""
    files.keep(RUN, as_head=True)
    found = files.find("team-a/bert")
    assert found is not None
    assert found.stale
    assert found.age_seconds >= 0
    assert dataclasses.replace(found, stale=False, age_seconds=0.0) == RUN
    assert files.find("team-a/bert", 3) == RUN


def test_a_head_never_goes_back(files: RunFiles) -> None:
    """An older version that arrives later, as from an old bundle, does not become the head."""
    files.keep(at(4), as_head=True)
    files.keep(at(2), as_head=True)
    files.keep(at(9), as_head=False)
    head = files.find("team-a/bert")
    assert head is not None
    assert head.version == 4
    assert [files.find("team-a/bert", version) is not None for version in (2, 4, 9, 5)] == [True, True, True, False]


def test_what_is_unknown_is_missing(files: RunFiles) -> None:
    """An unknown run or version is None; what is no name is an error, not a path."""
    assert files.find("team-a/bert") is None
    with pytest.raises(ValueError, match="a run's name must be like"):
        files.find("../../etc/passwd")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"[" * 100_000, b"{}", b'{"namespace": "x"}', b"\xff"])
def test_a_damaged_file_is_missing(files: RunFiles, content: bytes) -> None:
    """What is no run is not taken for one."""
    files.keep(RUN, as_head=True)
    for path in files.folder.rglob("*.json"):
        path.write_bytes(content)
    assert files.find("team-a/bert") is None
    assert files.find("team-a/bert", 3) is None


def test_a_file_of_another_run_is_missing(files: RunFiles) -> None:
    """A file that was copied to the place of another run or version does not speak for it."""
    files.keep(RUN, as_head=True)
    for other in ({"name": "gpt"}, {"version": 4}):
        for path in files.folder.rglob("3.json"):
            path.write_text(json.dumps({**RUN.to_dict(), **other}))
        assert files.find("team-a/bert", 3) is None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    """A cache is a help: without one, nothing is kept, and a warning is logged."""
    (tmp_path / "runs").write_text("a file in the place of the folder")
    files = RunFiles(tmp_path)
    files.keep(RUN, as_head=True)
    assert files.find("team-a/bert") is None
