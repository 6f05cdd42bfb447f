"""`lrtables cache`: what is kept, whether it is sound, and removing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrtables.__main__ import main
from tests.support.client.caches import cache_in, file_of, make_table, names_in


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with three tables, which the environment names."""
    for number in range(3):
        cache_in(tmp_path).keep(make_table(number))
    monkeypatch.setenv("LRTABLES_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_ls_lists_every_table(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each table stands on a line with its digest and size, under them the sum and the folder."""
    assert main(["cache", "ls"]) == 0
    *lines, total = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == {make_table(number).digest for number in range(3)}
    size = len(make_table().to_bytes())
    assert {line.split()[1] for line in lines} == {str(size)}
    assert total == f"3 tables, {3 * size} bytes in {filled / 'cache'}"


def test_verify_prints_what_is_damaged(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged table is named and makes the exit status 1; afterwards the rest is sound."""
    assert main(["cache", "verify"]) == 0
    damaged = make_table(1)
    file_of(cache_in(filled), damaged).write_bytes(b"nonsense")
    assert main(["cache", "verify"]) == 1
    assert f"{damaged.digest} is damaged: set aside\n2 tables verified, 1 damaged" in capsys.readouterr().out
    assert main(["cache", "verify"]) == 0


def test_prune_removes_down_to_a_size(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So many bytes stay as were asked for; without a number the limit of the cache holds."""
    assert main(["cache", "prune"]) == 0
    assert "0 tables, 0 bytes removed" in capsys.readouterr().out
    assert main(["cache", "prune", "--max-bytes", str(len(make_table().to_bytes()))]) == 0
    assert "2 tables" in capsys.readouterr().out
    assert main(["cache", "prune", "--max-bytes", "0", "--cache", str(filled / "cache")]) == 0
    assert names_in(cache_in(filled)) == []


def test_a_cache_that_is_off_is_said_to_be(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a cache each command says so and succeeds; a bad limit is an error that names it."""
    monkeypatch.setenv("LRTABLES_CACHE", "off")
    for action in ("ls", "verify", "prune"):
        assert main(["cache", action]) == 0
        assert "there is no cache" in capsys.readouterr().out
    monkeypatch.setenv("LRTABLES_CACHE", "somewhere")
    monkeypatch.setenv("LRTABLES_CACHE_BYTES", "much")
    with pytest.raises(SystemExit, match="LRTABLES_CACHE_BYTES must be a number of bytes, got 'much'"):
        main(["cache", "ls"])
