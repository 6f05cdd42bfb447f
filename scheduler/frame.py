"""What a table's rows and columns mean, and the header of the file that holds them.

A file is safetensors: 8 bytes with the header's length, a JSON header, padding, one F64 tensor per column in name
order. Its metadata carry the frame, the digest, and `check`: the SHA-256 of the header in which the check's own digits
are zeros. So every byte of a file is covered, the values by the digest and the rest by the check.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from scheduler.canonical import canonical_json

if TYPE_CHECKING:
    from hashlib import _Hash

    from scheduler.spec import Spec

Axis = Literal["step", "epoch", "sample", "token"]
"""What a table's rows count."""
After = Literal["hold", "error", "release"]
"""What happens past the last row: its values are held, asking is an error, or nothing is written any more."""

LENGTH = struct.Struct("<Q")
"""The first 8 bytes of a file: how long its header is."""
_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,63}(\.(0|[1-9][0-9]{0,5}))?")
_MAX_HEADER = 64 * 2**20
_ALIGNMENT = 64  # bytes: a mapped table starts on a cache line
_OWN = {"format", "digest", "axis", "stride", "after", "check", "spec", "spec_id"}
_CHECK, _ZEROS = '"check":"', "0" * 64


class TableError(ValueError):
    """Bytes or values that are not a table, or not the table they say they are."""


@dataclass(frozen=True)
class Frame:
    """The columns of a table, how many rows they have, what rows count, and what happens past the last one.

    Raises `TableError` for a column's name that is none, columns out of order, none of them, no row, and a frame that
    does not exist.
    """

    columns: tuple[str, ...]
    total_steps: int
    axis: Axis = "step"
    stride: int = 1
    after: After = "hold"

    def __post_init__(self) -> None:
        for name in self.columns:
            if not _COLUMN.fullmatch(name):
                raise TableError(f"column names are like 'lr' or 'weight_decay.1', got {name!r}")
        if self.axis not in get_args(Axis):
            raise TableError(f"axis must be one of {', '.join(get_args(Axis))}, got {self.axis!r}")
        if self.after not in get_args(After):
            raise TableError(f"after must be one of {', '.join(get_args(After))}, got {self.after!r}")
        if self.stride < 1:
            raise TableError(f"stride must be at least 1, got {self.stride}")
        if not self.columns or self.total_steps < 1:
            raise TableError("a table needs at least one column and one step")

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return 8 * self.total_steps * len(self.columns)

    def hasher(self) -> _Hash:
        """The digest so far: SHA-256 that has taken the frame, as a line of canonical JSON, and awaits the values."""
        frame = {
            "after": self.after,
            "axis": self.axis,
            "columns": list(self.columns),
            "stride": self.stride,
            "total_steps": self.total_steps,
        }
        return hashlib.sha256(canonical_json(frame).encode() + b"\n")

    def header(self, metadata: Mapping[str, str]) -> bytes:
        """The bytes before the values in a file: its metadata are these, the frame, and the check."""
        frame = {"axis": self.axis, "stride": str(self.stride), "after": self.after}
        content = {"__metadata__": {**metadata, **frame, "check": _ZEROS}, **_tensors(self.columns, self.total_steps)}
        text = json.dumps(content, separators=(",", ":")).encode()
        text += b" " * (-(LENGTH.size + len(text)) % _ALIGNMENT)
        return LENGTH.pack(len(text)) + _with_check(text, _ZEROS, hashlib.sha256(text).hexdigest())


@dataclass(frozen=True)
class Header:
    """A file's header, read: the frame, the other metadata, and how many bytes lie before the values."""

    frame: Frame
    metadata: Mapping[str, str]
    size: int

    @property
    def checked(self) -> bool:
        """Whether the header carried its check: one that was written elsewhere need not."""
        return "check" in self.metadata

    @property
    def digest(self) -> str:
        """The digest that the file claims; empty where it claims none."""
        return self.metadata.get("digest", "")

    @property
    def provenance(self) -> dict[str, str]:
        """What computed the values, as far as the file says."""
        return {name: text for name, text in self.metadata.items() if name not in _OWN}

    def spec(self) -> Spec | None:
        """The spec of the values; None where there is none, or it is of a kind that this version does not know."""
        from scheduler.spec import Spec  # noqa: PLC0415  # the spec builds tables, and a table remembers its spec

        try:
            return Spec.model_validate_json(self.metadata["spec"]) if "spec" in self.metadata else None
        except ValueError:
            return None

    @classmethod
    def from_bytes(cls, data: memoryview, file_size: int) -> Header:
        """The header at the start of a file's bytes, of which `header_size` tells how many are needed.

        Raises `TableError` where it is no header of a table in a file of this size, or does not match its check.
        """
        text = bytes(data[LENGTH.size : header_size(data, file_size)])
        metadata, columns, rows = _parse(text)
        stride = metadata.get("stride", "1")
        frame = Frame(
            columns,
            rows,
            axis=metadata.get("axis", "step"),  # type: ignore[arg-type]  # any text: Frame checks it
            stride=int(stride) if stride.isascii() and stride.isdigit() and len(stride) < 16 else 0,
            after=metadata.get("after", "hold"),  # type: ignore[arg-type]  # any text: Frame checks it
        )
        if LENGTH.size + len(text) + frame.nbytes != file_size:
            raise TableError("not a table: its F64 columns do not fill the file")
        check = metadata.get("check")
        if check is not None and hashlib.sha256(_with_check(text, check, _ZEROS)).hexdigest() != check:
            raise TableError("damaged table: its header does not match its check")
        return cls(frame, metadata, LENGTH.size + len(text))


def header_size(start: memoryview, file_size: int) -> int:
    """How many bytes lie before the values, from the first 8 of a file. Raises `TableError` where it cannot be."""
    if len(start) < LENGTH.size:
        raise TableError(f"not a table: {file_size} bytes are too few for a safetensors file")
    (size,) = LENGTH.unpack_from(start)
    if size > min(_MAX_HEADER, file_size - LENGTH.size):
        raise TableError(f"not a table: a header of {size} bytes does not fit a file of {file_size}")
    return int(LENGTH.size + size)


def _tensors(columns: Sequence[str], rows: int) -> dict[str, object]:
    size = 8 * rows
    return {
        name: {"dtype": "F64", "shape": [rows], "data_offsets": [i * size, (i + 1) * size]}
        for i, name in enumerate(columns)
    }


def _with_check(text: bytes, check: str, other: str) -> bytes:
    return text.replace((_CHECK + check).encode(), (_CHECK + other).encode(), 1)


def _parse(text: bytes) -> tuple[dict[str, str], tuple[str, ...], int]:
    """The metadata, the column names in order and the number of rows; everything is checked."""
    try:
        tensors = json.loads(text)
        metadata = tensors.pop("__metadata__", {})
        columns = tuple(sorted(tensors))
        rows = math.prod(tensors[columns[0]]["shape"]) if columns else 0
        plain = all(isinstance(key, str) and isinstance(value, str) for key, value in metadata.items())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise TableError(f"not a table: the safetensors header cannot be read ({error})") from error
    if not plain or tensors != _tensors(columns, rows):
        raise TableError("not a table: the tensors are not F64 columns of one length, in name order, filling the file")
    return metadata, columns, rows
