"""Tables serialized as a NumPy file, as JSON and as CSV."""

from __future__ import annotations

import json
from collections.abc import Iterator

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


def json_blocks(table: ReadableTable) -> Iterator[bytes]:
    """Yield the table as JSON, block by block."""
    layout = {"digest": table.digest, "axis": table.axis, "stride": table.stride, "after": table.after}
    yield json.dumps({**layout, "total_steps": table.total_steps})[:-1].encode() + b', "columns": {'
    for number, (name, values) in enumerate(table.columns.items()):
        yield (", " if number else "").encode() + json.dumps(name).encode() + b": ["
        for start in range(0, table.total_steps, _BLOCK):
            text = json.dumps(values[start : start + _BLOCK].tolist())[1:-1]
            yield (", " if start else "").encode() + text.encode()
        yield b"]"
    yield b"}}\n"


def csv_blocks(table: ReadableTable) -> Iterator[bytes]:
    """Yield the table as CSV with a header line, block by block. Numbers have the fewest digits that round-trip."""
    yield ",".join([table.axis, *table.columns]).encode() + b"\r\n"
    block = max(_BLOCK // len(table.columns), 1)
    for start in range(0, table.total_steps, block):
        stop = min(start + block, table.total_steps)
        columns = [range(start * table.stride, stop * table.stride, table.stride)]
        rows = zip(*columns, *(values[start:stop].tolist() for values in table.columns.values()), strict=True)
        yield "".join(",".join(map(repr, row)) + "\r\n" for row in rows).encode()
