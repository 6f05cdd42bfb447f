"""The spec of a table that has none: its columns, by the table's digest."""

from __future__ import annotations

from scheduler.compose.literal import Literal
from scheduler.spec import OneOrGroups, Spec
from scheduler.table import Table
from scheduler.table_format import TableError, TableLayout


def spec_of_table(table: Table | TableLayout, digest: str | None = None) -> Spec:
    """The spec whose table has the values of a stored one: a `Literal` of its digest for each column.

    Args:
        table: the table, or its layout together with its digest.
        digest: SHA-256 of the stored table, 64 hexadecimal digits; by default that of the table.

    Whoever computes the spec must look the stored table up (`scheduler.named_tables.resolved`). Raises `TableError` for
    a table without a learning rate for each parameter group, because an amendment changes learning rates.
    """
    layout = table.layout if isinstance(table, Table) else table
    if digest is None:
        if not isinstance(table, Table):
            raise TypeError("digest is needed beside a layout, which has none")
        digest = table.digest
    grouped: dict[str, list[str]] = {}
    for column in layout.columns:
        grouped.setdefault(column.partition(".")[0], []).append(column)
    schedules: dict[str, OneOrGroups] = {name: _literals(name, columns, digest) for name, columns in grouped.items()}
    if "lr" not in schedules:
        raise TableError(f"a table must have learning rates to be amended, this one has {', '.join(layout.columns)}")
    return Spec(
        schedule=schedules.pop("lr"),
        columns=schedules,
        total_steps=layout.total_steps,
        axis=layout.axis,
        stride=layout.stride,
        after=layout.after,
    )


def _literals(name: str, columns: list[str], digest: str) -> OneOrGroups:
    if columns == [name]:
        return Literal(digest=digest, column=name)
    numbered = [f"{name}.{group}" for group in range(len(columns))]
    if set(numbered) != set(columns):
        raise TableError(f"a table must have {name} for every parameter group to be amended, got {', '.join(columns)}")
    return [Literal(digest=digest, column=column) for column in numbered]
