"""The node cache: what it returns, what it keeps, and what it does where its folder does not work."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.cache.folders import OFF, cache_bytes, cache_folder
from client.cache.marks import BACKDATED_NS, is_marked
from client.cache.node_cache import NodeCache
from scheduler import Table
from scheduler.table_format import TableLayout
from tests.support.client.caches import cache_in, file_of, make_table, names_in, whole
from tests.support.servers.small_disk import SmallDisk


def test_a_kept_table_is_opened_again(tmp_path: Path) -> None:
    """A table that one cache object kept is opened by another, mapped from the one file of its digest."""
    table = make_table()
    kept = cache_in(tmp_path).keep(table)
    cache = cache_in(tmp_path)
    opened = cache.open(table.digest)
    assert kept == opened == table
    assert opened is not None
    assert np.array_equal(opened.lr, table.lr)
    assert not opened.lr.flags.owndata
    assert file_of(cache, table).read_bytes() == table.to_bytes()
    assert names_in(cache) == whole(table)
    assert cache.open("0" * 64) is None


def test_a_marked_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The values of a file with the right mark are not hashed; with `verify`, or without the mark, they are."""
    table, cache = make_table(), cache_in(tmp_path)
    cache.keep(table)
    verified: list[str] = []
    real = TableLayout.hasher

    def counted(self: TableLayout) -> Any:
        verified.append("once")
        return real(self)

    monkeypatch.setattr(TableLayout, "hasher", counted)
    cache.open(table.digest)
    assert verified == []
    cache.open(table.digest, verify=True)
    assert verified == ["once"]
    (cache.folder / "tables" / f"{table.digest}.mark").unlink()
    cache.open(table.digest)
    cache.open(table.digest)
    assert verified == ["once", "once"]


def test_a_mark_of_another_user_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark, and a digest of a spec, count only where this user or root wrote them."""
    table, cache = make_table(), cache_in(tmp_path)
    cache.keep(table)
    cache.remember("key", table.digest)
    mark, found = cache.folder / "tables" / f"{table.digest}.mark", file_of(cache, table).stat()
    assert is_marked(mark, found)
    assert cache.known_digest("key") == table.digest
    for path in (mark, cache.folder / "specs" / "key"):
        if os.geteuid() == 0:
            os.chown(path, 12345, -1)
    if os.geteuid() != 0:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert not is_marked(mark, found)
    assert cache.known_digest("key") is None
    assert cache.open(table.digest) == table


@pytest.mark.parametrize("content", [b"", b"no digest\n", b"\xff" * 64, b"0" * 63])
def test_a_digest_that_is_none_is_not_remembered(tmp_path: Path, content: bytes) -> None:
    """A torn or foreign file in the place of a remembered digest counts as none."""
    cache = cache_in(tmp_path)
    cache.remember("key", "0" * 64)
    assert cache.known_digest("key") == "0" * 64
    (cache.folder / "specs" / "key").write_bytes(content)
    assert cache.known_digest("key") is None


# -- how much it keeps ------------------------------------------------------------------------------------------------


def used(cache: NodeCache, table: Table, seconds_ago: float) -> None:
    """Let a table have been used so long ago."""
    at = time.time() - seconds_ago
    os.utime(cache.folder / "tables" / f"{table.digest}.mark", (at, at))


def test_the_least_recently_used_make_room(tmp_path: Path) -> None:
    """Above the limit the tables go that were not used for longest; opening one counts as use."""
    tables = [make_table(number) for number in range(4)]
    size = len(tables[0].to_bytes())
    cache = cache_in(tmp_path, max_bytes=3 * size)
    for age, table in zip([400, 300, 200], tables, strict=False):
        cache.keep(table)
        used(cache, table, age)
    cache.open(tables[0].digest)
    cache.keep(tables[3])
    assert [cache.open(table.digest) is not None for table in tables] == [True, False, True, True]


def test_what_was_just_written_stays(tmp_path: Path) -> None:
    """A table larger than the whole limit is kept, and stays readable for whoever has it open when it is removed."""
    table, other = make_table(), make_table(1)
    cache = cache_in(tmp_path, max_bytes=10)
    mapped = cache.keep(table)
    assert names_in(cache) == whole(table)
    used(cache, table, 3600)
    cache.keep(other)
    assert names_in(cache) == whole(other)
    assert np.array_equal(mapped.lr, table.lr)
    assert [entry.digest for entry in cache.prune(0)] == [other.digest]
    assert names_in(cache) == []


def test_leftovers_are_removed(tmp_path: Path) -> None:
    """What a killed process left behind goes when it is an hour old; of damaged files the newest eight stay."""
    cache = cache_in(tmp_path)
    cache.keep(make_table())
    young, aside = cache.folder / "tables" / ".x.tmp", cache.folder / "aside"
    young.write_bytes(b"half")
    aside.mkdir()
    for number in range(12):
        (aside / str(number)).write_bytes(b"x")
    cache.prune(2**30)
    assert young.exists()
    assert len(names_in(cache, "aside")) == 8


# -- folders that do not work -----------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_costs_nothing_but_the_cache(tmp_path: Path) -> None:
    """Where the folder's place is a file, tables stay in memory and the failure is counted and told."""
    (tmp_path / "cache").write_bytes(b"a file")
    cache, table = cache_in(tmp_path), make_table()
    assert cache.open(table.digest) is None
    assert cache.keep(table) is table
    cache.remember("key", table.digest)
    assert (cache.entries(), cache.prune(0), cache.known_digest("key")) == ([], [], None)
    assert cache.counts.failures >= 3
    assert "cache" in cache.counts.last_failure


def test_a_folder_that_cannot_be_written_is_read(disk: SmallDisk) -> None:
    """A cache in a read-only folder gives what it has, and keeps the rest in memory."""
    cache, table, other = cache_in(disk.directory), make_table(), make_table(1)
    cache.keep(table)
    (cache.folder / "tables" / f"{table.digest}.mark").unlink()
    with disk.read_only():
        assert cache.open(table.digest) == table
        assert cache.keep(other) is other
        assert "Read-only file system" in cache.counts.last_failure
        assert cache.prune(0) == []


def test_a_full_disk_keeps_tables_in_memory(disk: SmallDisk) -> None:
    """Where the disk is full nothing is raised and no half file stays, and a smaller table is kept again."""
    cache, large, small = cache_in(disk.directory), make_table(rows=200_000), make_table(1)
    assert cache.keep(large) is large
    assert "No space left" in cache.counts.last_failure
    assert names_in(cache) == []
    assert cache.keep(small) is not small


# -- where it is ------------------------------------------------------------------------------------------------------


def test_the_folder_is_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The argument comes before LRTABLES_CACHE, then XDG_CACHE_HOME, then the home; off and False mean no cache."""
    monkeypatch.setenv("LRTABLES_CACHE", "named")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder("given") == Path("given")
    assert cache_folder(False) is None
    assert cache_folder() == Path("named")
    monkeypatch.setenv("LRTABLES_CACHE", OFF)
    assert cache_folder() is None
    monkeypatch.delenv("LRTABLES_CACHE")
    assert cache_folder() == tmp_path / "xdg" / "lrtables"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / "home" / ".cache" / "lrtables"


def test_the_size_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """LRTABLES_CACHE_BYTES is a number of bytes; anything else is refused by name and value."""
    monkeypatch.setenv("LRTABLES_CACHE_BYTES", "1000")
    assert cache_bytes() == 1000
    monkeypatch.setenv("LRTABLES_CACHE_BYTES", "2G")
    with pytest.raises(ValueError, match=r"LRTABLES_CACHE_BYTES must be a number of bytes, got '2G'"):
        cache_bytes()


def test_a_new_file_looks_old(tmp_path: Path) -> None:
    """A cached file's time of modification lies in the past, so that any later write changes it."""
    table, cache = make_table(), cache_in(tmp_path)
    cache.keep(table)
    age = time.time_ns() - file_of(cache, table).stat().st_mtime_ns
    assert age >= BACKDATED_NS
