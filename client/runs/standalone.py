"""A table's spec that needs no service: the values of tables that it names by digest stand in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from client.errors import UnexpectedResponseError
from scheduler import Spec, Table, TableError
from scheduler.amendments import spec_of_table
from scheduler.compose import Literal
from scheduler.compose.literal import MAX_VALUES
from scheduler.named_tables import UnresolvedError
from scheduler.texts import abbreviate, is_digest

MOST_VALUES = 10**6
"""Values that a spec may have inside: 20 MB of JSON. A longer table is kept as a file."""


def standalone_spec(data: Mapping[str, Any] | None, table: Table, named: Mapping[str, Table]) -> Spec | None:
    """The spec that computes exactly this table here, without a service; None where its values are too many.

    Args:
        data: the spec of the table as JSON data, where one is known.
        table: the table.
        named: the tables that the spec names, by digest.

    A spec whose values differ in a last bit here, as a twin of another library may on another machine, is replaced by
    the values themselves.
    """
    for candidate in _candidates(data, table, named):
        try:
            if Table.compute(candidate).digest == table.digest:
                return candidate
        except (TableError, UnresolvedError):
            continue
    return None


def named_tables(data: Mapping[str, Any] | None) -> set[str]:
    """The digests of the tables that a spec's JSON data names. Raises `UnexpectedResponseError` for other data."""
    try:
        found = [part["digest"] for part in _literals(data)]
    except RecursionError:
        raise UnexpectedResponseError("a spec is nested too deeply") from None
    for digest in found:
        if not is_digest(digest):
            raise UnexpectedResponseError(f"a spec names a table by {abbreviate(digest)}, which is no digest")
    return set(found)


def _candidates(data: Mapping[str, Any] | None, table: Table, named: Mapping[str, Table]) -> Iterator[Spec]:
    every = [(data, named)] if data is not None else []
    own = spec_of_table(table).model_dump(mode="json")
    for found, tables in (*every, (own, {table.digest: table})):
        if sum(tables[part["digest"]].total_steps for part in _literals(found)) <= MOST_VALUES:
            try:
                yield Spec.model_validate_json(json.dumps(_inlined(found, tables)))
            except ValueError:  # of a kind that this version does not know, or values that no rate has
                continue


def _literals(data: Any) -> Iterator[Mapping[str, Any]]:
    """Every Literal in JSON data that names a table."""
    if isinstance(data, Mapping):
        if data.get("kind") == "Literal" and data.get("digest") is not None:
            yield data
        for value in data.values():
            yield from _literals(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from _literals(value)


def _inlined(data: Any, tables: Mapping[str, Table]) -> Any:
    """The data with each Literal that names a table as its values."""
    if isinstance(data, Mapping):
        if data.get("kind") == "Literal" and data.get("digest") is not None:
            return _values(tables[data["digest"]], data.get("column", "lr"))
        return {name: _inlined(value, tables) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_inlined(value, tables) for value in data]
    return data


def _values(table: Table, column: str) -> dict[str, Any]:
    """A column as a Literal; of more values than one may have, as a Sequence of them."""
    values = table.columns[column].tolist()
    parts = [values[begin : begin + MAX_VALUES] for begin in range(0, len(values), MAX_VALUES)]
    literals = [Literal(part).to_dict() for part in parts]
    if len(literals) == 1:
        return literals[0]
    return {"kind": "Sequence", "schedules": literals, "lengths": [len(part) for part in parts]}
