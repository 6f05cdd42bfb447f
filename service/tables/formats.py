"""The formats in which a table is served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from scheduler import Table
from scheduler.table_format import FORMAT_REVISION, TableLayout
from service.storage.store import Part
from service.tables.readable import ReadableTable

_NPY = b"\x93NUMPY\x01\x00"
_BLOCK = 2048  # values written as text at a time: about a millisecond, in which no other request is answered


@dataclass(frozen=True)
class Format:
    """A way to write a table down: the ending of its address, its media type, and what it holds.

    The bytes are a function of the digest's frame and values: every server writes the same. `revision` is another
    number where a version writes other bytes than the one before.
    """

    extension: str
    media_type: str
    description: str
    revision: int = 1

    @property
    def content_type(self) -> bytes:
        """The Content-Type header."""
        return (self.media_type + ("; charset=utf-8" if self.media_type.startswith("text/") else "")).encode()

    def etag(self, digest: str) -> bytes:
        """The strong entity tag: the digest names frame and values, the rest the way in which they are written."""
        return f'"{digest}-{self.revision}.{self.extension}"'.encode()


SAFETENSORS = Format(
    "safetensors",
    "application/vnd.safetensors",
    "one F64 tensor per column; digest and frame in the metadata. Nobody has registered a media type for it",
    FORMAT_REVISION,
)
NPY = Format("npy", "application/x-npy", "float64: [steps] of the only column, or [columns, steps] in name order")
JSON = Format("json", "application/json", "an object: the frame, and each column as a list of numbers")
CSV = Format("csv", "text/csv", "a row per step: the progress at which it begins, then the columns in name order")

FORMATS = (SAFETENSORS, NPY, JSON, CSV)
"""All of them, the one that a client without wishes gets first."""
BY_MEDIA_TYPE = {item.media_type: item for item in FORMATS}
MEDIA_TYPES = tuple(BY_MEDIA_TYPE)


def npy_header(layout: TableLayout) -> bytes:
    """The start of the table as a NumPy file; the values follow."""
    shape = (layout.total_steps,) if len(layout.columns) == 1 else (len(layout.columns), layout.total_steps)
    # Not by NumPy, whose versions pad it differently: a digest has one file.
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(_NPY) + 2 + len(text) + 1) % 64) + b"\n"
    return _NPY + len(text).to_bytes(2, "little") + text


def npy_parts(table: Table) -> list[Part]:
    """The table as a NumPy file: a header, and a view of the values."""
    return [npy_header(table.layout), *table.parts()[1:]]


def json_blocks(table: ReadableTable) -> Iterator[bytes]:
    """The table as JSON, a block at a time."""
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
    """The table as CSV with a header line, a block at a time. Numbers are Python's shortest that read back exactly."""
    yield ",".join([table.axis, *table.columns]).encode() + b"\r\n"
    block = max(_BLOCK // len(table.columns), 1)
    for start in range(0, table.total_steps, block):
        stop = min(start + block, table.total_steps)
        columns = [range(start * table.stride, stop * table.stride, table.stride)]
        rows = zip(*columns, *(values[start:stop].tolist() for values in table.columns.values()), strict=True)
        yield "".join(",".join(map(repr, row)) + "\r\n" for row in rows).encode()


BLOCKS = {JSON: json_blocks, CSV: csv_blocks}
"""The formats that are written anew for each answer: far larger than the table, and rarely asked for."""
