"""The conformance suite of the object stores, run with each of them."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.storage.local import LocalStore
from service.storage.s3 import S3Store
from service.storage.store import ObjectStore
from tests.support.servers.s3 import S3Server

KEY = f"tables/ab/{'ab' * 32}.safetensors"
OTHER = f"tables/cd/{'cd' * 32}.safetensors"

METHODS: dict[str, Callable[[ObjectStore, str], object]] = {
    "get": lambda store, key: store.get(key),
    "stat": lambda store, key: store.stat(key),
    "read": lambda store, key: store.read(key, 0, 1),
    "put": lambda store, key: store.put(key, [b"x"]),
    "quarantine": lambda store, key: store.quarantine(key, ""),
    "delete": lambda store, key: store.delete(key),
}


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.needs("weed"))])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    """An empty store of each kind."""
    opened: ObjectStore
    if request.param == "local":
        opened = LocalStore(tmp_path)
    else:
        request.getfixturevalue("s3_variables")
        server: S3Server = request.getfixturevalue("s3_server")
        opened = S3Store(server.new_url(), timeout_seconds=30)
    yield opened
    opened.close()


def content(store: ObjectStore, key: str = KEY) -> bytes:
    """The bytes of an object that is there."""
    data = store.get(key)
    assert data is not None
    return bytes(data)


def version(store: ObjectStore) -> str:
    """Return the version of the stored object."""
    found = store.stat(KEY)
    assert found is not None
    return found.version


class TestObjectStore:
    """What every store must do."""

    def test_an_object_comes_back_as_it_was_put(self, store: ObjectStore) -> None:
        """An object is its joined parts, and the returned bytes are read-only."""
        assert store.put(KEY, [b"one", memoryview(b"two"), b""])
        data = store.get(KEY)
        assert data is not None
        assert (bytes(data), data.readonly, data.format) == (b"onetwo", True, "B")
        found = store.stat(KEY)
        assert found is not None
        assert found.size == 6
        assert abs(found.modified - time.time()) < 3600

    def test_what_is_missing_is_none(self, store: ObjectStore) -> None:
        """A missing object is no error."""
        assert store.get(KEY) is None
        assert store.stat(KEY) is None
        assert store.read(KEY, 0, 1) is None

    @pytest.mark.parametrize("nbytes", [0, 1, 20_000_000])
    def test_every_size_is_kept(self, store: ObjectStore, nbytes: int) -> None:
        """Empty and large objects come back bit for bit."""
        sent = os.urandom(nbytes)
        assert store.put(KEY, [sent])
        assert content(store) == sent
        assert list(store.keys()) == [(KEY, nbytes)]

    def test_parts_may_come_one_by_one(self, store: ObjectStore) -> None:
        """Parts may come from any iterable, also from one that can be read only once."""
        assert store.put(KEY, (bytes([number]) for number in range(3)))
        assert content(store) == b"\0\1\2"

    def test_a_key_is_written_once(self, store: ObjectStore) -> None:
        """A second put to a key changes nothing and says so."""
        assert store.put(KEY, [b"first"])
        assert not store.put(KEY, [b"second"])
        assert content(store) == b"first"

    def test_one_of_many_writers_wins(self, store: ObjectStore) -> None:
        """Of sixteen threads that put to one key at once, one succeeds, and its bytes are there."""
        results: dict[int, bool] = {}
        barrier = threading.Barrier(16)

        def put(number: int) -> None:
            barrier.wait()
            results[number] = store.put(KEY, [bytes([number]) * 10_000])

        executors = [threading.Thread(target=put, args=(number,)) for number in range(16)]
        for thread in executors:
            thread.start()
        for thread in executors:
            thread.join()
        (winner,) = [number for number, won in results.items() if won]
        assert len(results) == 16
        assert content(store) == bytes([winner]) * 10_000

    def test_a_failed_write_leaves_nothing(self, store: ObjectStore) -> None:
        """A writer that fails half way leaves no object, and the key free."""

        def parts() -> Iterator[bytes]:
            yield b"half"
            raise RuntimeError("the other half")

        with pytest.raises(RuntimeError, match="the other half"):
            store.put(KEY, parts())
        assert store.get(KEY) is None
        assert list(store.keys()) == []
        assert store.put(KEY, [b"whole"])

    @pytest.mark.parametrize(
        ("start", "stop", "expected"), [(0, 3, b"abc"), (2, 6, b"cdef"), (4, 100, b"ef"), (6, 9, b""), (70, 90, b"")]
    )
    def test_a_range_ends_with_the_object(self, store: ObjectStore, start: int, stop: int, expected: bytes) -> None:
        """A read gives the bytes from start until stop: fewer, or none, where the object ends before."""
        store.put(KEY, [b"abcdef"])
        data = store.read(KEY, start, stop)
        assert data is not None
        assert (bytes(data), data.readonly) == (expected, True)

    @pytest.mark.parametrize(("start", "stop"), [(-1, 2), (2, 2), (3, 1)])
    def test_a_range_holds_a_byte(self, store: ObjectStore, start: int, stop: int) -> None:
        """A range without a byte in it is refused with its ends."""
        with pytest.raises(ValueError, match=rf"0 <= start < stop, got {start} and {stop}"):
            store.read(KEY, start, stop)

    def test_a_damaged_object_is_quarantined(self, store: ObjectStore) -> None:
        """A quarantined object is gone from its key, which is free again; quarantining it twice is no error."""
        store.put(KEY, [b"damaged"])
        damaged = version(store)
        store.quarantine(KEY, damaged)
        store.quarantine(KEY, damaged)
        assert store.get(KEY) is None
        assert list(store.keys()) == []
        assert store.put(KEY, [b"good"])
        assert content(store) == b"good"

    def test_what_replaced_a_damaged_object_stays(self, store: ObjectStore) -> None:
        """Quarantining an object that was replaced in the meantime leaves the new one in place."""
        store.put(KEY, [b"damaged"])
        damaged = version(store)
        store.quarantine(KEY, damaged)
        store.put(KEY, [b"restored"])
        store.quarantine(KEY, damaged)
        assert content(store) == b"restored"

    def test_a_deleted_object_is_gone(self, store: ObjectStore) -> None:
        """A deleted object is gone, its key is free, the others stay; deleting it twice is no error."""
        store.put(KEY, [b"one"])
        store.put(OTHER, [b"two"])
        store.delete(KEY)
        store.delete(KEY)
        assert list(store.keys()) == [(OTHER, 3)]
        assert store.put(KEY, [b"again"])

    def test_keys_are_listed_in_order(self, store: ObjectStore) -> None:
        """Every object is listed once, with its size, in the order of the keys; a prefix selects some of them."""
        digests = {f"{number:02x}" * 32: number for number in (255, 16, 0, 17, 171)} | {"11" + "0" * 62: 9}
        for digest, size in digests.items():
            store.put(f"tables/{digest[:2]}/{digest}.safetensors", [bytes(size)])
        expected = [(f"tables/{name[:2]}/{name}.safetensors", size) for name, size in sorted(digests.items())]
        assert list(store.keys()) == expected
        assert list(store.keys("tables/1")) == expected[1:4]
        assert list(store.keys("tables/11/110")) == [expected[2]]
        assert list(store.keys("tables/2")) == []

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize(
        "key",
        [
            "",
            "tables/../../etc",
            "/tables/ab/x",
            "tables/ab/../x.json",
            f"damaged{KEY.removeprefix('tables')}",
            f"{KEY}\n",
            f"tables/cd/{'ab' * 32}.json",
        ],
    )
    def test_only_keys_are_keys(self, store: ObjectStore, method: str, key: str) -> None:
        """Only well-formed keys reach the file system or the bucket."""
        with pytest.raises(ValueError, match="keys are like"):
            METHODS[method](store, key)

    def test_a_working_store_passes_its_check(self, store: ObjectStore) -> None:
        """A working store passes its check, empty or not, and has an address."""
        store.check()
        store.put(KEY, [b"x"])
        store.check()
        assert store.url.startswith(("file:///", "s3://"))
