"""The contract of an object store: bytes under keys, written once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

Part = bytes | memoryview

_KEY = re.compile(r"tables/([0-9a-f]{2})/\1[0-9a-f]{62}\.safetensors")


class Stat(NamedTuple):
    """What a store knows of an object without reading it.

    `version` changes whenever another object takes the key. `modified` is when it was put, in seconds since 1970.
    """

    size: int
    version: str
    modified: float


class ObjectStore(Protocol):
    """Bytes under keys like `tables/ab/abcd....safetensors`: durable once put, never changed, whole or absent.

    Every method blocks and may be called from any thread. Each raises `StorageError` if the store refuses or does not
    answer in time, and `ValueError` for a malformed key. A store that did not answer in time may still do what it was
    asked to do.
    """

    @property
    def url(self) -> str:
        """The address of the objects, for people to read: without secrets."""

    def get(self, key: str) -> memoryview | None:
        """Return a copy of the object's bytes; None if there is no such object."""

    def stat(self, key: str) -> Stat | None:
        """Return the object's size, version and time; None if there is no such object."""

    def read(self, key: str, start: int, stop: int) -> memoryview | None:
        """Return the bytes from `start` up to `stop`, fewer if the object ends before; None if there is no such object.

        Raises `ValueError` unless 0 <= start < stop.
        """

    def put(self, key: str, parts: Iterable[Part]) -> bool:
        """Store the joined parts under a free key. Return True once they are durable, False if the key was taken."""

    def quarantine(self, key: str, version: str) -> None:
        """Move a damaged object out of the way, and keep it for inspection.

        Nothing happens if the object is gone or has another version: what has replaced it stays.
        """

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield key and size of every object whose key starts with the prefix, in the order of the keys."""

    def delete(self, key: str) -> None:
        """Delete the object. Nothing happens if it is gone."""

    def check(self) -> None:
        """Return if the store could take an object now; raise `StorageError` if not."""

    def close(self) -> None:
        """Close the store, so that another server can open it."""


def is_key(name: str) -> bool:
    """Return whether the name is a well-formed key. Only such names reach a store."""
    return _KEY.fullmatch(name) is not None


def checked_key(key: str) -> str:
    """Return the key. Raises `ValueError` if it is malformed."""
    if not is_key(key):
        raise ValueError(f"keys are like 'tables/ab/ab...', got {key!r}")
    return key


def check_range(start: int, stop: int) -> None:
    """Raise `ValueError` unless 0 <= start < stop."""
    if not 0 <= start < stop:
        raise ValueError(f"a range must be 0 <= start < stop, got {start} and {stop}")
