"""The layout of a table, and the header of the file that holds it.

A file is safetensors: 8 bytes with the header's length, a JSON header, padding, one F64 tensor per column in name
order. Its metadata carry the layout, the digest, and `check`: the SHA-256 of the header in which the check's own digits
are zeros. So every byte of a file is covered, the values by the digest and the rest by the check.

A digest has exactly one such file. One that a person saves may say more: the spec and the versions that its values were
computed with. These are claims: nothing proves them.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike

from scheduler.canonical import canonical_json
from scheduler.fields import Values
from scheduler.numerics.rates import broken_rule, first_bad_rate
from scheduler.provenance import NAMES
from scheduler.texts import abbreviate, is_digest

if TYPE_CHECKING:
    from hashlib import _Hash

Axis = Literal["step", "epoch", "sample", "token"]
"""The unit that a table's rows count."""
After = Literal["hold", "error", "release"]
"""Behaviour past the last row: its values are held, it is an error, or nothing is written any more."""

LENGTH = struct.Struct("<Q")
"""The first 8 bytes of a file: how long its header is."""
MAX_HEADER = 2 * 2**20
"""Bytes of the longest header that is read or written: a spec of a mebibyte fits."""
FORMAT_REVISION = 2
"""Which way of writing the one file of a digest this is: another number where the same digest's bytes change."""
COLUMN = r"[a-z][a-z0-9_]{0,63}(\.(0|[1-9][0-9]{0,5}))?"
"""A column's name, as a regular expression."""
_COLUMN = re.compile(COLUMN)
_INTEGER = re.compile(r"[1-9][0-9]{0,14}")
_MAX_STRIDE = 10**15
_MAX_CLAIM = 1000  # characters of a version in a header
_ALIGNMENT = 64  # bytes: a mapped table starts on a cache line
_CHECK, _ZEROS = '"check":"', "0" * 64
_NOTHING: Mapping[str, str] = MappingProxyType({})


class TableError(ValueError):
    """Bytes or values that are not a table, or not the table they say they are."""


def rate_out_of_range(kind: str, value: float, step: int) -> TableError:
    """The error for a value of a schedule of this kind, at this step, that is beyond every rate."""
    return TableError(f"a rate must be {broken_rule(abs(value))}, got {value} at step {step} of this {kind}")


@dataclass(frozen=True)
class TableLayout:
    """The layout of a table: its columns, their length, what rows count, and what happens past the last one.

    Raises `TableError` for an invalid column name, one name both plain and per group, columns out of order, no column,
    no row, and an invalid axis, stride or `after`.
    """

    columns: tuple[str, ...]
    total_steps: int
    axis: Axis = "step"
    stride: int = 1
    after: After = "hold"

    def __post_init__(self) -> None:
        _check_columns(self.columns)
        if self.axis not in get_args(Axis):
            raise TableError(f"axis must be one of {', '.join(get_args(Axis))}, got {abbreviate(self.axis)}")
        if self.after not in get_args(After):
            raise TableError(f"after must be one of {', '.join(get_args(After))}, got {abbreviate(self.after)}")
        if type(self.stride) is not int or not 1 <= self.stride <= _MAX_STRIDE:
            raise TableError(f"stride must be an integer from 1 to 10**15, got {abbreviate(self.stride)}")
        if not self.columns or self.total_steps < 1:
            raise TableError("a table needs at least one column and one step")

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return 8 * self.total_steps * len(self.columns)

    def hasher(self) -> _Hash:
        """The hash to be updated with the values: SHA-256 of the layout as a line of canonical JSON."""
        layout = {
            "after": self.after,
            "axis": self.axis,
            "columns": list(self.columns),
            "stride": self.stride,
            "total_steps": self.total_steps,
        }
        return hashlib.sha256(canonical_json(layout).encode() + b"\n")

    def header(self, digest: str, claims: Mapping[str, str] = _NOTHING) -> bytes:
        """The bytes before the values in the file of the table with this digest.

        Without `claims` they depend on layout and digest alone: a digest has exactly one such file.
        """
        metadata = {"format": "pt", **claims, "digest": digest}  # "pt": what transformers and accelerate read
        layout = {"axis": self.axis, "stride": str(self.stride), "after": self.after}
        content = {"__metadata__": {**metadata, **layout, "check": _ZEROS}, **_tensors(self.columns, self.total_steps)}
        text = json.dumps(content, separators=(",", ":")).encode()
        text += b" " * (-(LENGTH.size + len(text)) % _ALIGNMENT)
        return LENGTH.pack(len(text)) + _with_check(text, _ZEROS, hashlib.sha256(text).hexdigest())


class ColumnFiller(Protocol):
    """The source of a table's columns: a `scheduler.Schedule`."""

    def fill_columns(self, columns: Mapping[str, Values], start: int = 0) -> None:
        """Write the values of steps start, start + 1, ... into the columns with these names."""


class TableSource(Protocol):
    """The source of a table: a `scheduler.Spec`. A table keeps it, and uses no more of it than this."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def layout(self) -> TableLayout:
        """The columns of the table, its length, what its rows count, and what happens past its last row."""

    def plan(self) -> Mapping[str, tuple[ColumnFiller, str]]:
        """Column name to the schedule and the schedule's column that fill it."""

    def canonical(self) -> str:
        """Its canonical JSON."""


@dataclass(frozen=True)
class FileHeader:
    """The parsed header of a file: the layout, the digest, and the number of bytes before the values.

    `digest` is empty where the file claims none. `spec` (JSON) and `provenance` are the file's claims about how the
    values were computed. `checked` tells whether the file has a check; one written by other software need not.
    """

    layout: TableLayout
    digest: str
    spec: str | None
    provenance: Mapping[str, str]
    checked: bool
    size: int

    @classmethod
    def from_bytes(cls, data: memoryview, file_size: int, *, is_verified: bool = False) -> FileHeader:
        """The header at the start of a file's bytes, of which `header_size` tells how many are needed.

        With `is_verified` the caller has verified these bytes before, and the check is not computed again.
        Raises `TableError` where it is no header of a table in a file of this size, or does not match its check.
        Metadata that are none of ours are not kept.
        """
        text = bytes(data[LENGTH.size : header_size(data, file_size)])
        metadata, columns, rows = _parse(text)
        stride = metadata.get("stride", "1")
        layout = TableLayout(
            columns,
            rows,
            axis=metadata.get("axis", "step"),  # type: ignore[arg-type]  # any text: TableLayout checks it
            stride=int(stride) if _INTEGER.fullmatch(stride) else stride,  # type: ignore[arg-type]  # the same
            after=metadata.get("after", "hold"),  # type: ignore[arg-type]  # the same
        )
        if LENGTH.size + len(text) + layout.nbytes != file_size:
            raise TableError("not a table: its F64 columns do not fill the file")
        check = metadata.get("check")
        if (
            check is not None
            and not is_verified
            and hashlib.sha256(_with_check(text, check, _ZEROS)).hexdigest() != check
        ):
            raise TableError("damaged table: its header does not match its check")
        return cls(
            layout,
            _digest(metadata),
            metadata.get("spec"),
            {name: _version(name, metadata[name]) for name in NAMES if name in metadata},
            check is not None,
            LENGTH.size + len(text),
        )


def column_values(name: str, values: ArrayLike) -> Values:
    """A column's values as float64, shape [total_steps]. Text, booleans and complex numbers are no numbers here."""
    try:
        given = np.asarray(values)
        is_other = given.size and given.dtype.kind in "USbcmMV"
        array = None if is_other else given.astype(np.float64, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        raise TableError(f"column {name!r} must have one number per step, got {abbreviate(values)}") from error
    except RuntimeError as error:  # of a tensor with a gradient: it says what to do
        raise TableError(f"column {name!r} must have one number per step: {error}") from error
    if array is None:
        raise TableError(f"column {name!r} must have numbers, got {given.dtype} like {given.flat[0]!r}")
    if array.ndim != 1:
        raise TableError(f"column {name!r} must have one value per step, got shape {list(array.shape)}")
    return array


def check_values(layout: TableLayout, data: Values) -> None:
    """Raise `TableError` for the first value that its column cannot have. `data`: shape [columns, total_steps]."""
    for name, column in zip(layout.columns, data, strict=True):
        if (bad := _first_bad(name, column)) is not None:
            raise TableError(f"column {name!r} must be {broken_rule(column[bad])}, got {column[bad]} at step {bad}")


def _first_bad(name: str, column: Values) -> int | None:
    if name.partition(".")[0] == "lr":
        return first_bad_rate(column)
    finite = np.isfinite(column)
    return None if finite.all() else int(np.argmin(finite))


def header_size(start: memoryview, file_size: int) -> int:
    """Number of bytes before the values, from the first 8 of a file. Raises `TableError` where it is invalid."""
    if len(start) < LENGTH.size:
        raise TableError(f"not a table: {file_size} bytes are too few for a safetensors file")
    (size,) = LENGTH.unpack_from(start)
    if size > file_size - LENGTH.size:
        raise TableError(f"not a table: a header of {size} bytes does not fit a file of {file_size}")
    if size > MAX_HEADER:
        raise TableError(f"not a table: its header must have at most {MAX_HEADER} bytes, got {size}")
    return int(LENGTH.size + size)


def _check_columns(columns: Sequence[str]) -> None:
    for name in columns:
        if not isinstance(name, str) or not _COLUMN.fullmatch(name):
            raise TableError(f"column names are like 'lr' or 'weight_decay.1', got {abbreviate(name)}")
    if list(columns) != sorted(set(columns)):
        raise TableError(f"columns must be different and in the order of their names, got {abbreviate(list(columns))}")
    plain = {name for name in columns if "." not in name}
    for name in columns:
        if (shared := name.partition(".")[0]) != name and shared in plain:
            raise TableError(f"a column is one for all groups or one for each: got both {shared!r} and {name!r}")


def _tensors(columns: Sequence[str], rows: int) -> dict[str, dict[str, Any]]:
    return {name: _tensor(index, rows) for index, name in enumerate(columns)}


def _tensor(index: int, rows: int) -> dict[str, Any]:
    return {"dtype": "F64", "shape": [rows], "data_offsets": [index * 8 * rows, (index + 1) * 8 * rows]}


def _with_check(text: bytes, check: str, other: str) -> bytes:
    return text.replace((_CHECK + check).encode(), (_CHECK + other).encode(), 1)


def _parse(text: bytes) -> tuple[dict[str, str], tuple[str, ...], int]:
    """The metadata, the column names in order and the number of rows; everything is checked, by its exact type."""
    try:
        tensors = json.loads(text.decode(), object_pairs_hook=_object, parse_float=_refuse, parse_constant=_refuse)
        "".join(_strings(tensors)).encode()  # a lone surrogate is legal JSON, and no text
    except (
        ValueError,
        RecursionError,
    ) as error:  # ValueError is TableError's, UnicodeError's, JSONDecodeError's, int's
        raise TableError(f"not a table: the safetensors header cannot be read ({error})") from error
    if not isinstance(tensors, dict):
        raise TableError("not a table: the safetensors header must be a JSON object")
    metadata = tensors.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise TableError("not a table: the safetensors metadata must be an object of strings")
    columns = tuple(sorted(tensors))
    rows = _rows(tensors[columns[0]]) if columns else 0
    if not all(_is_tensor(tensors[name], _tensor(index, rows)) for index, name in enumerate(columns)):
        raise TableError("not a table: the tensors are not F64 columns of one length, in name order, filling the file")
    return metadata, columns, rows


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises `TableError` for a key that it has twice: which one counts would be up to the reader."""
    found = dict(members)
    if len(found) != len(members):
        raise TableError("a key stands twice in one object")
    return found


def _refuse(number: str) -> None:
    raise TableError(f"numbers must be integers, got {number[:40]}")


def _strings(header: Any) -> list[str]:
    """The strings that are kept of a header, the names in it first."""
    if not isinstance(header, dict):
        return []
    metadata = header.get("__metadata__")
    said = [*metadata, *metadata.values()] if isinstance(metadata, dict) else []
    return [*header, *(text for text in said if isinstance(text, str))]


def _rows(tensor: object) -> int:
    """The length of a tensor of one dimension; 0, which no column has, of another."""
    shape = tensor.get("shape") if isinstance(tensor, dict) else None
    return shape[0] if isinstance(shape, list) and len(shape) == 1 and type(shape[0]) is int else 0


def _is_tensor(found: object, expected: Mapping[str, Any]) -> bool:
    """Whether they are equal, and the numbers integers: True and 1.0 equal 1."""
    return (
        isinstance(found, dict)
        and found == expected
        and all(type(number) is int for number in (*found["shape"], *found["data_offsets"]))
    )


def _digest(metadata: Mapping[str, str]) -> str:
    digest = metadata.get("digest", "")
    if digest and not is_digest(digest):
        raise TableError(f"not a table: its digest must be 64 hexadecimal digits, got {abbreviate(digest)}")
    return digest


def _version(name: str, text: str) -> str:
    if len(text) > _MAX_CLAIM:
        raise TableError(f"not a table: {name!r} must have at most {_MAX_CLAIM} characters, got {len(text)}")
    return text
