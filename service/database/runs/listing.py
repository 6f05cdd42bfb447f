"""Which runs a list has, in which order, and where its next page begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_, tuple_

from scheduler.canonical import canonical_json
from service.database.runs.rows import RunName, RunRow
from service.database.schema import RUNS

_HEAD = RUNS.c
_LAST = "\x7f"  # follows every character of a name and of a digest


@dataclass(frozen=True)
class RunCursor:
    """The last run of a page: its name, and when it was created, in seconds since 1970."""

    name: RunName
    created_at: float

    @classmethod
    def of(cls, run: RunRow) -> RunCursor:
        """Return the cursor after this run."""
        return cls(RunName(run.namespace, run.name), run.created_at)


@dataclass(frozen=True)
class RunFilter:
    """The runs to list: those that meet all conditions, and were not deleted.

    Args:
        prefix: beginning of the name, `team-a/be`.
        contains: parts of the name that it must all have, in upper or lower case.
        labels: label names and the values that they must have.
        kind: of the first group's schedule; None for any.
        digest: beginning of the table's digest.
        namespaces: patterns of which one must cover the name, as tokens have them.
        newest: whether the run that was created last comes first; else they are ordered by name.

    Neither order depends on what may change of a run, so that pages together have each run once.
    """

    prefix: str = ""
    contains: Sequence[str] = ()
    labels: Sequence[tuple[str, str]] = ()
    kind: str | None = None
    digest: str = ""
    namespaces: Sequence[str] = ("*",)
    newest: bool = False

    @property
    def order(self) -> Sequence[ColumnElement[Any]]:
        """The columns by which the list is ordered."""
        by_name = (_HEAD.namespace, _HEAD.name)
        return (_HEAD.created_at.desc(), *by_name) if self.newest else by_name

    def conditions(self, after: RunCursor | None) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions that the runs after this one meet."""
        yield _HEAD.deleted == 0
        if self.prefix:
            yield _begins(self.prefix)
        for part in self.contains:
            yield (_HEAD.namespace + "/" + _HEAD.name).icontains(part, autoescape=True)
        for name, value in self.labels:  # canonical JSON has each label in exactly these characters
            yield func.replace(_HEAD.labels, canonical_json({name: value})[1:-1], "") != _HEAD.labels
        if self.kind is not None:
            yield _HEAD.kind == self.kind
        if self.digest:
            yield begins_with(_HEAD.digest, self.digest)
        if "*" not in self.namespaces:
            yield or_(false(), *map(_covered_by, self.namespaces))
        if after is not None:
            yield self._is_after(after)

    def _is_after(self, cursor: RunCursor) -> ColumnElement[bool]:
        by_name = tuple_(_HEAD.namespace, _HEAD.name) > tuple_(*cursor.name)
        if not self.newest:
            return by_name
        return or_(_HEAD.created_at < cursor.created_at, and_(_HEAD.created_at == cursor.created_at, by_name))


def begins_with(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Return the condition that a column of ASCII text begins with this prefix."""
    return and_(column >= prefix, column < prefix + _LAST)


def _begins(prefix: str) -> ColumnElement[bool]:
    """Return the condition that the full name begins with this prefix."""
    namespace, slash, name = prefix.partition("/")
    if not slash:
        return begins_with(_HEAD.namespace, namespace)
    return and_(_HEAD.namespace == namespace, begins_with(_HEAD.name, name))


def _covered_by(pattern: str) -> ColumnElement[bool]:
    """Return the condition that a token's pattern, `team-a/*` or `team-a/bert`, covers the name."""
    namespace, _, name = pattern.partition("/")
    if name == "*":
        return _HEAD.namespace == namespace
    return and_(_HEAD.namespace == namespace, _HEAD.name == name)  # one of another number of parts covers no run
