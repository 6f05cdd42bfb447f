"""The formats in which a table is served: media types, file extensions, entity tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.table_format import FORMAT_REVISION
from service.tables.formats import CsvText, JsonText, TableText


@dataclass(frozen=True)
class Format:
    """A format of a table: the extension of its path, its media type, what it holds, and its revision.

    The bytes depend on the table's layout and values alone, so that every server sends the same. `revision` increases
    where a version writes other bytes than the one before.
    """

    extension: str
    media_type: str
    description: str
    revision: int = 1

    @property
    def content_type(self) -> bytes:
        """The value of the Content-Type header."""
        return (self.media_type + ("; charset=utf-8" if self.media_type.startswith("text/") else "")).encode()

    def etag(self, digest: str) -> bytes:
        """The strong entity tag: the digest identifies the table, the rest its format."""
        return f'"{digest}-{self.revision}.{self.extension}"'.encode()


SAFETENSORS = Format(
    "safetensors",
    "application/vnd.safetensors",
    "one F64 tensor per column; digest and layout in the metadata. Nobody has registered a media type for it",
    FORMAT_REVISION,
)
NPY = Format("npy", "application/x-npy", "float64: [steps] of the only column, or [columns, steps] in name order")
JSON = Format("json", "application/json", "an object: the layout, and each column as a list of numbers")
CSV = Format("csv", "text/csv", "a row per step: the progress at which it begins, then the columns in name order")

FORMATS = (SAFETENSORS, NPY, JSON, CSV)
"""All formats. The first is the default."""
BY_MEDIA_TYPE = {item.media_type: item for item in FORMATS}
MEDIA_TYPES = tuple(BY_MEDIA_TYPE)

TEXTS: Mapping[Format, type[TableText]] = {JSON: JsonText, CSV: CsvText}
"""The formats that are written for each response, because they are large and rarely requested."""
