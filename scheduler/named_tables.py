"""Tables that a spec refers to by digest, and how a computation finds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Protocol

from scheduler.schedule import Schedule


class UnresolvedError(LookupError):
    """A Literal refers to a table that was not looked up, or to a column that the table lacks."""


class Column(Protocol):
    """A column's values: an array, or what reads them from elsewhere and is sliced like one."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: Any, /) -> Any: ...


class Named(Protocol):
    """A table that a Literal may name: a `Table`, or what has columns like one."""

    @property
    def columns(self) -> Mapping[str, Column]:
        """Its values, by the columns' names."""


_named: ContextVar[Mapping[str, Named]] = ContextVar("named", default=MappingProxyType({}))


def named_digests(schedules: Iterable[Schedule]) -> set[str]:
    """The tables that the Literals among the schedules name, at any depth."""
    digests = (part.table_digest for top in schedules for part in top.walk())
    return {digest for digest in digests if digest is not None}


def find_table(digest: str) -> Named | None:
    """The table with this digest; None where it has not been looked up."""
    return _named.get().get(digest)


@contextmanager
def resolved(tables: Mapping[str, Named]) -> Iterator[None]:
    """Let every Literal computed inside, at any depth, find its table among these by digest.

    It holds for the thread or task that entered. Nothing of it stays in the schedules.
    """
    token = _named.set(tables)
    try:
        yield
    finally:
        _named.reset(token)
