"""The formats in which a table is served: their media types, the endings of their addresses, their entity tags."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.table_format import FORMAT_REVISION
from service.tables.formats import csv_blocks, json_blocks


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

BLOCKS = {JSON: json_blocks, CSV: csv_blocks}
"""The formats that are written anew for each answer: far larger than the table, and rarely asked for."""
