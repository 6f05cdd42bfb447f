"""Tables in memory."""

from dataclasses import dataclass

from service.tables.cache import TableCache


@dataclass
class Item:
    """What a cache keeps: a name and a size."""

    digest: str
    nbytes: int = 800
    is_pinned: bool = False


def add(cache: TableCache[Item], item: Item) -> bool:
    """Reserve, keep and release; whether there was room."""
    if not cache.reserve(item.nbytes):
        return False
    cache.add(item)
    cache.release(item.nbytes)
    return True


def test_bytes_are_bounded() -> None:
    """The tables kept never have more bytes than the capacity, and the least recently used one goes first."""
    cache = TableCache[Item](2000)
    first, second, third = (Item(name) for name in "abc")
    assert add(cache, first)
    assert add(cache, second)
    assert cache.get("a") is first
    assert add(cache, third)
    assert [cache.get(name) for name in "abc"] == [first, None, third]
    assert (len(cache), cache.nbytes) == (2, 1600)


def test_one_table_is_in_memory_once() -> None:
    """A second copy of a table gives way to the one that is there."""
    cache = TableCache[Item](2000)
    first = Item("a")
    assert cache.add(first) is first
    assert cache.add(Item("a")) is first
    assert cache.nbytes == 800


def test_what_is_being_sent_still_counts() -> None:
    """A table that is being sent is not dropped for another; dropped, it counts until it was sent."""
    cache = TableCache[Item](1000)
    sent = Item("a", is_pinned=True)
    assert add(cache, sent)
    assert not add(cache, Item("b"))
    cache.evict("a")
    assert (cache.get("a"), cache.nbytes) == (None, 800)
    assert not add(cache, Item("b"))
    sent.is_pinned = False
    assert add(cache, Item("b"))


def test_what_has_no_room_drops_nothing() -> None:
    """A table beyond the capacity is refused, and those that are there stay."""
    cache = TableCache[Item](1000)
    assert add(cache, Item("a"))
    assert not cache.reserve(1001)
    assert cache.get("a") is not None


def test_what_is_reserved_counts() -> None:
    """Two tables that are read at the same time cannot both have the last place."""
    cache = TableCache[Item](1000)
    assert cache.reserve(800)
    assert not cache.reserve(800)
    cache.release(800)
    assert cache.reserve(800)


def test_what_turns_out_larger_pushes_others_out() -> None:
    """A table that takes more than was reserved for it, or for which nothing was, leaves room for that many fewer."""
    cache = TableCache[Item](2000)
    assert add(cache, Item("a"))
    assert add(cache, Item("b"))
    assert cache.reserve(300)
    cache.add(Item("c", nbytes=1200))
    cache.release(300)
    assert [cache.get(name) is None for name in "abc"] == [True, False, False]
    cache.add(Item("d", nbytes=900))
    cache.release(0)
    assert [cache.get(name) is None for name in "abcd"] == [True, True, True, False]
