"""The contract of an object store: bytes under keys, written once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

Part = bytes | memoryview


class StorageError(Exception):
    """The store does not do what it was asked for: full, read-only, gone. Worth a retry, unlike a missing object."""


class ObjectStore(Protocol):
    """Bytes under keys like `tables/ab/abcd....safetensors`: durable once put, never changed, whole or absent.

    Every method blocks and may be called from any thread. Each raises `StorageError` where the system refuses, and
    `ValueError` for a key that does not look like one.
    """

    def get(self, key: str) -> memoryview | None:
        """The object's bytes, in memory of their own; None where there is no such object."""

    def exists(self, key: str) -> bool:
        """Whether there is such an object. It is not read."""

    def put(self, key: str, parts: Iterable[Part]) -> bool:
        """Keep the parts, joined, under a key that is free. True: they are durable now. False: it was taken."""

    def set_aside(self, key: str) -> None:
        """Free the key of a damaged object, and keep the object where no request finds it."""

    def check(self) -> None:
        """Nothing, where the store could take an object now."""

    def close(self) -> None:
        """Give the store back, for another server to open."""
