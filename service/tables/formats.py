"""Tables serialized as a NumPy file, as JSON and as CSV."""

from __future__ import annotations

import json
from typing import Protocol

from scheduler import Table
from scheduler.table_format import TableLayout
from service.storage.store import Part
from service.tables.readable import ReadableTable

_NPY = b"\x93NUMPY\x01\x00"
_BLOCK = 2048  # values serialized at a time, about a millisecond


def npy_header(layout: TableLayout) -> bytes:
    """Return the header of the table's NumPy file. The values follow it."""
    shape = (layout.total_steps,) if len(layout.columns) == 1 else (len(layout.columns), layout.total_steps)
    # NumPy's versions pad the header differently, but a digest must have exactly one file.
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(_NPY) + 2 + len(text) + 1) % 64) + b"\n"
    return _NPY + len(text).to_bytes(2, "little") + text


def npy_parts(table: Table) -> list[Part]:
    """Return the table's NumPy file as its header and a view of the values."""
    return [npy_header(table.layout), *table.parts()[1:]]


class TableText(Protocol):
    """A table as text, in numbered blocks of a few thousand values. The same table always gives the same bytes."""

    def __init__(self, table: ReadableTable) -> None: ...

    @property
    def blocks(self) -> int:
        """The number of blocks."""

    def block(self, index: int) -> bytes:
        """Write the block with this number, from 0 on, and no other."""


class JsonText:
    """A table as a JSON object: the layout, and each column as a list of numbers."""

    def __init__(self, table: ReadableTable) -> None:
        self._table = table
        self._names = list(table.columns)
        self._blocks = -(-table.total_steps // _BLOCK)  # of a column
        self.blocks = len(self._names) * self._blocks

    def block(self, index: int) -> bytes:
        """Write the block with this number."""
        column, block = divmod(index, self._blocks)
        start, is_last = block * _BLOCK, block == self._blocks - 1
        values = self._table.columns[self._names[column]][start : start + _BLOCK]
        before = ", " if start else self._opening(column)
        after = ("]}}\n" if index == self.blocks - 1 else "]") if is_last else ""
        return (before + json.dumps(values.tolist())[1:-1] + after).encode()

    def _opening(self, column: int) -> str:
        """The text before the first value of a column."""
        table = self._table
        layout = {"digest": table.digest, "axis": table.axis, "stride": table.stride, "after": table.after}
        head = json.dumps({**layout, "total_steps": table.total_steps})[:-1] + ', "columns": {'
        return (", " if column else head) + json.dumps(self._names[column]) + ": ["


class CsvText:
    """A table as CSV with a header line: the progress at which a row begins, then the columns in name order.

    Numbers have the fewest digits that round-trip.
    """

    def __init__(self, table: ReadableTable) -> None:
        self._table = table
        self._rows = max(_BLOCK // len(table.columns), 1)  # of a block
        self.blocks = -(-table.total_steps // self._rows)

    def block(self, index: int) -> bytes:
        """Write the block with this number."""
        table, start = self._table, index * self._rows
        stop = min(start + self._rows, table.total_steps)
        progress = range(start * table.stride, stop * table.stride, table.stride)
        rows = zip(progress, *(values[start:stop].tolist() for values in table.columns.values()), strict=True)
        header = "" if start else ",".join([table.axis, *table.columns]) + "\r\n"
        return (header + "".join(",".join(map(repr, row)) + "\r\n" for row in rows)).encode()
