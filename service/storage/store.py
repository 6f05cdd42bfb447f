"""The contract of an object store: bytes under keys, written once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

Part = bytes | memoryview

_KEY = re.compile(r"tables/([0-9a-f]{2})/\1[0-9a-f]{62}\.safetensors")


class Stat(NamedTuple):
    """What a store knows of an object without reading it.

    `version` is another one for every object that the key comes to have; `modified` is when it was put, in seconds
    since 1970.
    """

    size: int
    version: str
    modified: float


class ObjectStore(Protocol):
    """Bytes under keys like `tables/ab/abcd....safetensors`: durable once put, never changed, whole or absent.

    Every method blocks and may be called from any thread. Each raises `StorageError` where the store refuses or does
    not answer in time, and `ValueError` for a key that does not look like one. What a store that did not answer was
    asked for, it may have done, or do later.
    """

    @property
    def url(self) -> str:
        """Where the objects are, for people to read: without secrets."""

    def get(self, key: str) -> memoryview | None:
        """The object's bytes, in memory of their own; None where there is no such object."""

    def stat(self, key: str) -> Stat | None:
        """How large the object is, and since when it is there; None where there is no such object."""

    def read(self, key: str, start: int, stop: int) -> memoryview | None:
        """The object's bytes from `start` until `stop`, fewer where it ends before; None where there is no such object.

        Raises `ValueError` unless 0 <= start < stop.
        """

    def put(self, key: str, parts: Iterable[Part]) -> bool:
        """Keep the parts, joined, under a key that is free. True: they are durable now. False: it was taken."""

    def quarantine(self, key: str, version: str) -> None:
        """Free the key of a damaged object, and keep the object elsewhere. Nothing where it is gone, or another one is
        there: whoever comes late does not take away what has replaced it.
        """

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Key and size of every object whose key starts with the prefix, in the order of the keys."""

    def delete(self, key: str) -> None:
        """Remove the object. No error where it is gone."""

    def check(self) -> None:
        """Nothing, where the store could take an object now."""

    def close(self) -> None:
        """Give the store back, for another server to open."""


def is_key(name: str) -> bool:
    """Whether the name looks like a key: no other reaches a store."""
    return _KEY.fullmatch(name) is not None


def checked(key: str) -> str:
    """The key. Raises `ValueError` where it does not look like one."""
    if not is_key(key):
        raise ValueError(f"keys are like 'tables/ab/ab...', got {key!r}")
    return key


def check_range(start: int, stop: int) -> None:
    """Raises `ValueError` where there is no byte from `start` until `stop`."""
    if not 0 <= start < stop:
        raise ValueError(f"a range must be 0 <= start < stop, got {start} and {stop}")
