"""Damaged files in the node cache: found by the digest, set aside, never returned."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from client import Client
from scheduler import Table
from tests.support.client.caches import cache_in, file_of, make_table, names_in

if TYPE_CHECKING:
    from tests.client.conftest import Response, ScriptedServer

Damage = Callable[[Path, random.Random], None]


def flip(path: Path, chance: random.Random) -> None:
    """Flip one bit, in place."""
    offset = chance.randrange(path.stat().st_size)
    with path.open("r+b") as file:
        file.seek(offset)
        (old,) = file.read(1)
        file.seek(offset)
        file.write(bytes([old ^ 1 << chance.randrange(8)]))


def truncate(path: Path, chance: random.Random) -> None:
    """Cut the file off anywhere, its start included."""
    os.truncate(path, chance.randrange(path.stat().st_size))


def extend(path: Path, chance: random.Random) -> None:
    """Append some bytes."""
    with path.open("ab") as file:
        file.write(bytes(chance.randrange(1, 100)))


def same_size(path: Path, chance: random.Random) -> bytes:
    """The file of another sound table that is as large as this file."""
    rows = len(Table.load(path).lr)
    content = make_table(1 + chance.randrange(100), rows).to_bytes()
    assert len(content) == path.stat().st_size
    return content


def swap(path: Path, chance: random.Random) -> None:
    """Put another sound table of the same size into the file's place."""
    other = path.with_name("other")
    other.write_bytes(same_size(path, chance))
    other.replace(path)


def overwrite(path: Path, chance: random.Random) -> None:
    """Write another sound table of the same size into the same file, and put its time back."""
    before = path.stat()
    time.sleep(0.02)  # several ticks of the clock that files are timed by
    with path.open("r+b") as file:
        file.write(same_size(path, chance))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_by_folder(path: Path, _: random.Random) -> None:
    """Put a folder into the file's place."""
    path.unlink()
    path.mkdir()


def replace_by_link(path: Path, _: random.Random) -> None:
    """Put a link to something else into the file's place."""
    path.unlink()
    path.symlink_to("/dev/zero")


def replace_by_pipe(path: Path, _: random.Random) -> None:
    """Put a pipe that nobody writes to into the file's place."""
    path.unlink()
    os.mkfifo(path)


DAMAGES: list[Damage] = [
    *[flip, truncate, extend, swap, overwrite],
    *[replace_by_folder, replace_by_link, replace_by_pipe],
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_set_aside_and_healed(tmp_path: Path, damage: Damage) -> None:
    """Whatever was done to a file, however soon, it is not returned; the next fill is sound again."""
    table, cache = make_table(), cache_in(tmp_path)
    chance = random.Random(7)
    for count in range(1, 21):
        cache.keep(table)
        damage(file_of(cache, table), chance)
        assert cache.open(table.digest) is None
        assert cache.counts.set_aside == count
        assert not os.path.lexists(file_of(cache, table))
        assert cache.keep(table) == table
        assert cache.open(table.digest, verify=True) == table
    cache.prune(2**30)
    assert 1 <= len(names_in(cache, "aside")) <= 8


@pytest.mark.parametrize("damage", [flip, truncate, swap])
def test_a_file_that_was_damaged_long_ago_is_found_too(tmp_path: Path, damage: Damage) -> None:
    """A cache opened after it was copied, so that no mark fits, trusts nothing but the digest."""
    table, cache = make_table(), cache_in(tmp_path)
    cache.keep(table)
    path = file_of(cache, table)
    damage(path, random.Random(3))
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)
    assert cache_in(tmp_path).open(table.digest) is None


def test_verify_finds_every_damaged_table(tmp_path: Path) -> None:
    """`verify` reads everything, whatever the marks say, and tells which tables are damaged."""
    cache = cache_in(tmp_path)
    tables: list[Table] = [make_table(number) for number in range(4)]
    for table in tables:
        cache.keep(table)
    flip(file_of(cache, tables[2]), random.Random(1))
    sound = {entry.digest: is_sound for entry, is_sound in cache.verify()}
    assert sound == {table.digest: table is not tables[2] for table in tables}


def test_a_file_that_another_process_has_healed_is_not_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a sound file has taken the damaged one's place meanwhile, the sound one stays."""
    table, cache = make_table(), cache_in(tmp_path)
    cache.keep(table)
    path = file_of(cache, table)
    flip(path, random.Random(5))
    real = Table.from_bytes

    def heals(data: memoryview, **options: str | None) -> Table:
        monkeypatch.setattr(Table, "from_bytes", real)
        sound = path.with_name("sound")
        sound.write_bytes(table.to_bytes())
        sound.replace(path)
        return real(data, **options)

    monkeypatch.setattr(Table, "from_bytes", heals)
    assert cache.open(table.digest) is None
    assert cache.open(table.digest) == table


@pytest.mark.slow
def test_two_hundred_damages_are_all_healed(scripted: ScriptedServer, response: type[Response], tmp_path: Path) -> None:
    """A client that gets a table again and again, each time over a file damaged at random, always returns it right."""
    table = make_table(rows=2000)
    body = table.to_bytes()
    scripted.script = lambda _: response(body=body)
    chance = random.Random(11)
    with Client(scripted.url, cache=tmp_path / "cache") as client:
        cache = cache_in(tmp_path)
        for count in range(1, 201):
            assert client.get(table.digest).to_bytes() == body
            assert client.stats().received == count
            damage = chance.choice([flip, truncate, extend, swap])
            damage(file_of(cache, table), chance)
        assert client.get(table.digest).to_bytes() == body
        assert client.stats().set_aside == 200


def test_a_file_that_is_cut_off_while_it_is_opened_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file is shorter when it is mapped than it was when it was looked at, it is set aside."""
    cache, table = cache_in(tmp_path), make_table(1, 1000)
    cache.keep(table)

    def cut(mark: str, found: os.stat_result) -> bool:
        os.truncate(file_of(cache, table), 100)
        return False

    monkeypatch.setattr("client.cache.node_cache.is_marked", cut)
    assert cache.open(table.digest) is None
    assert cache.counts.set_aside == 1
