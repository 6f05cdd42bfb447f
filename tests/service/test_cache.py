"""Tables in memory."""

import numpy as np

from scheduler import Table
from service.cache import TableCache
from service.ready import ReadyTable


def ready(value: float, steps: int = 100) -> ReadyTable:
    """A ready table of 8 bytes per step."""
    table = Table({"lr": np.full(steps, value)})
    return ReadyTable(table, table.parts())


def test_bytes_are_bounded() -> None:
    """The tables kept never have more bytes than the capacity, and the least recently used one goes first."""
    cache = TableCache(2000)
    first, second, third = (ready(value) for value in (1.0, 2.0, 3.0))
    cache.keep(first)
    cache.keep(second)
    assert cache.get(first.table.digest) is first
    cache.keep(third)
    assert [cache.get(item.table.digest) for item in (first, second, third)] == [first, None, third]
    assert (len(cache), cache.nbytes) == (2, 1600)


def test_one_table_is_in_memory_once() -> None:
    """A second copy of a table gives way to the one that is there."""
    cache = TableCache(2000)
    first, second = ready(1.0), ready(1.0)
    assert cache.keep(first) is first
    assert cache.keep(second) is first
    assert cache.nbytes == 800


def test_a_table_larger_than_the_cache_is_shared_until_the_next_one() -> None:
    """A table beyond the capacity is kept, alone, as long as no other is asked for."""
    cache = TableCache(100)
    large, next_one = ready(1.0), ready(2.0)
    cache.keep(large)
    assert cache.get(large.table.digest) is large
    cache.keep(next_one)
    assert cache.get(large.table.digest) is None
    assert (len(cache), cache.nbytes) == (1, 800)
