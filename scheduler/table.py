"""A schedule's values as a table: named float64 columns, identified by a digest.

The digest is SHA-256 over one line of canonical JSON, the layout (`after`, `axis`, `columns` in name order, `stride`,
`total_steps`), a newline, and each column's values as little-endian float64 in that order. It covers all that decides
which rate is applied when, and nothing else: not the spec the values came from, not the file format.

The file format is safetensors (see `scheduler.table_format`). It is written and read here, not through the safetensors
package, because that package's Python functions copy the values and do not say where in the file they lie.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Iterable, Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from scheduler.fields import Values
from scheduler.hooks import Hook
from scheduler.messages.display import DisplayedTable
from scheduler.provenance import provenance
from scheduler.table_format import (
    LENGTH,
    MAX_HEADER,
    ColumnFiller,
    FileHeader,
    TableLayout,
    TableSource,
    check_values,
    column_values,
    header_size,
)
from scheduler.table_format import After as After
from scheduler.table_format import Axis as Axis
from scheduler.table_format import TableError as TableError
from scheduler.table_values import TableValues
from scheduler.texts import abbreviate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

read_spec: Hook[[str], TableSource | None] = Hook("scheduler.spec")
"""The spec in JSON text; None where it is none, or of a kind that this version does not know."""
_LONGEST_CALL = 400  # characters of the call that makes a table, in its repr
draw: Hook[..., Figure] = Hook("scheduler.views.plot")
"""Draw a table, as `Table.plot` says."""


class Table(DisplayedTable, TableValues):
    """Named float64 columns over the rows of a schedule: read-only, verified, the same for everyone.

    Row k holds the values in force during optimizer update k, counted from 0; with `stride` s and an `axis` other than
    `step`, it holds those in force while progress is in s*k .. s*(k+1)-1. Columns are `lr`, `momentum`, `beta1`,
    `weight_decay` or another hyperparameter's name; a name with a suffix, `lr.0`, belongs to that parameter group.

    `TableValues` says how the values are read: `table[k]`, `table["lr"]`, `table.get_lr(step)`, as an array or a frame.
    Its `repr` has the digest and, where the spec is known and not long, the call that computes the table again.

    Args:
        columns: name to values, each of shape [total_steps]; copied. Raises `TableError` for a bad name, one name both
            plain and per group, columns of different lengths or none, values that are not finite, and learning rates
            that are none (see `scheduler.numerics.rates`).
        axis: what rows count.
        stride: units of progress per row, at least 1.
        after: what happens past the last row.
        spec: the spec the values were computed from, where there is one.
    """

    def __init__(
        self,
        columns: Mapping[str, ArrayLike],
        *,
        axis: Axis = "step",
        stride: int = 1,
        after: After = "hold",
        spec: TableSource | None = None,
    ) -> None:
        if not isinstance(columns, Mapping):
            raise TypeError(f"columns must be a mapping such as {{'lr': [0.1, 0.05]}}, got {abbreviate(columns)}")
        names = sorted(columns, key=str)
        arrays = [column_values(name, columns[name]) for name in names]
        if len({len(array) for array in arrays}) > 1:
            lengths = ", ".join(f"{name} {len(array)}" for name, array in zip(names, arrays, strict=True))
            raise TableError(f"columns must have equal lengths, got {lengths}")
        data = np.stack(arrays) if arrays else np.empty((0, 0))
        layout = TableLayout(tuple(names), data.shape[1], axis=axis, stride=stride, after=after)
        check_values(layout, data)
        self._adopt(layout, data, spec=spec, provenance=provenance())

    def _adopt(
        self, layout: TableLayout, data: Values, *, spec: TableSource | str | None, provenance: Mapping[str, str]
    ) -> None:
        """Take `data` (shape [columns, total_steps], contiguous, in name order) as it is.

        A spec in JSON is parsed on first use.
        """
        data.flags.writeable = False
        self.layout = layout
        self.axis = layout.axis
        self.stride = layout.stride
        self.after = layout.after
        self.total_steps = layout.total_steps
        self._spec = spec
        self.provenance = provenance
        self._digest: str | None = None
        self._header: bytes | None = None
        self.columns: Mapping[str, Values] = MappingProxyType(dict(zip(layout.columns, data, strict=True)))
        self._data = data
        floats: dict[str, Any] = {name: row.data for name, row in self.columns.items()}  # memoryviews of format 'd'
        self._floats = floats
        self._lr = self._floats.get("lr", self._floats.get("lr.0"))

    @classmethod
    def compute(cls, spec: TableSource, out: Values | None = None) -> Table:
        """The table of a spec. The values are computed into the memory that the table keeps, and nowhere else.

        That memory is `out` where it is given: shape [columns, total_steps], contiguous, in the order of the names.
        Raises `TableError` where a value is no rate (`scheduler.numerics.rates`): products and growth can leave the
        range, and a library's own schedule may fall below 0.
        """
        plan = sorted(spec.plan().items())
        data = np.empty((len(plan), spec.layout.total_steps)) if out is None else out
        rows = dict(zip([name for name, _ in plan], data, strict=True))
        for schedule, columns in _by_schedule(plan):
            schedule.fill_columns({column: rows[name] for name, column in columns})
        check_values(spec.layout, data)
        return cls._of(spec, data)

    @classmethod
    def computed_elsewhere(cls, spec: TableSource, values: Values, digest: str) -> Table:
        """The table of a spec whose values, and their digest, another process on this machine has computed.

        `values` are kept as they are (shape [columns, total_steps], contiguous, in the order of the names). Nothing is
        verified: use it only for a process that you trust as your own.
        """
        table = cls._of(spec, values)
        table._digest = digest
        return table

    @classmethod
    def _of(cls, spec: TableSource, data: Values) -> Table:
        table = cls.__new__(cls)
        table._adopt(spec.layout, data, spec=spec, provenance=provenance())
        return table

    def _share(self, table: Table) -> None:
        """Become equal to another table, with whose memory and spec."""
        self._adopt(table.layout, table._data, spec=table._spec, provenance=table.provenance)
        self._digest, self._header = table._digest, table._header

    # -- what it holds ------------------------------------------------------------------------------------------------

    @property
    def spec(self) -> Any | None:
        """The `scheduler.Spec` that the values were computed from, where it is known.

        For a loaded file it is the spec in the file; None where that has a kind unknown to this version.
        """
        if isinstance(self._spec, str):
            self._spec = read_spec(self._spec)
        return self._spec

    @spec.setter
    def spec(self, spec: TableSource | None) -> None:
        """Record the spec that the values were computed from."""
        self._spec = spec

    @property
    def spec_text(self) -> str | None:
        """The JSON of the spec, as a file has it where it was read from one: it may be no spec."""
        return self._spec if isinstance(self._spec, str) or self._spec is None else self._spec.canonical()

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return self._data.nbytes

    @property
    def digest(self) -> str:
        """SHA-256 of the layout and the values, 64 hexadecimal digits (see the module)."""
        # no cached_property: it asks for __dict__, after which CPython 3.11 reads every attribute in twice the time,
        # in `get_lr` too
        if self._digest is None:
            digest = self.layout.hasher()
            digest.update(self._bytes())
            self._digest = digest.hexdigest()
        return self._digest

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        title: str | None = None,
        applied: ArrayLike | Mapping[str, ArrayLike] | None = None,
        log: bool | None = None,
    ) -> Figure:
        """Draw the table, over it the rates a training applied; save as .png or .svg (see `scheduler.views.plot`)."""
        return draw(self, path, title=title, applied=applied, log=log)

    def __deepcopy__(self, memo: dict[int, Any]) -> Table:
        return self  # nothing in it can change

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Table) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        made = "" if self.spec is None else f": {self.spec.call()}"
        made = made if len(made) <= _LONGEST_CALL else ""
        return f"<Table {self.digest[:12]} {'+'.join(self.columns)} x {self.total_steps} {self.axis}s{made}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.to_bytes(), self.spec, dict(self.provenance))

    def _bytes(self) -> memoryview:
        """The values as little-endian bytes, column after column."""
        data = self._data if sys.byteorder == "little" else self._data.astype("<f8")
        return data.reshape(-1).view(np.uint8).data

    # -- as a file ----------------------------------------------------------------------------------------------------

    @property
    def header(self) -> bytes:
        """The bytes of the safetensors file before the values."""
        if self._header is None:
            self._header = self.layout.header(self.digest)
        return self._header

    @property
    def claims(self) -> dict[str, str]:
        """Metadata of a file beside the digest: provenance, and the spec where that is not too long."""
        spec = {} if self.spec is None else {"spec": self.spec.canonical(), "spec_id": self.spec.id}
        claims = {**self.provenance, **spec}
        return claims if len(self.layout.header(self.digest, claims)) <= MAX_HEADER else dict(self.provenance)

    def parts(self, *, claims: bool = False) -> list[bytes | memoryview]:
        """The safetensors file as its header and a view of the values: nothing is copied.

        A digest has exactly one such file, byte for byte; with `claims` the header says where
        the values come from, too.
        """
        return [self.layout.header(self.digest, self.claims) if claims else self.header, self._bytes()]

    def to_bytes(self) -> bytes:
        """The whole safetensors file, the one that the digest has."""
        return b"".join(self.parts())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file with its provenance, atomically: it is complete, or it is not there."""
        target = Path(path)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        try:
            with temporary.open("xb") as file:
                file.writelines(self.parts(claims=True))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, mmap: bool = False) -> Table:
        """Read a safetensors file and verify it. Raises `TableError` where it is damaged, `OSError` from the system.

        With `mmap` the values stay in the file, which several processes then share. Use it only for a
        file that is never written or truncated in place (as `cp new old` does): the rates would change after they were
        verified, and reading past a new end kills the process.
        """
        with open(path, "rb", opener=_open_at_once) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise TableError(f"not a table: {os.fspath(path)!r} is no regular file")
            if mmap and found.st_size:
                return cls.from_bytes(_mapped(file))
            start = file.read(LENGTH.size)
            start += file.read(header_size(memoryview(start), found.st_size) - len(start))
            header = FileHeader.from_bytes(memoryview(start), found.st_size)
            values = np.empty(header.layout.nbytes // 8, dtype="<f8")
            if file.readinto(values.view(np.uint8).data) != values.nbytes:
                raise TableError("damaged table: its file was cut short while it was read")
        return cls._verified(header, values)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview, *, verified: str | None = None) -> Table:
        """The table in the bytes of a safetensors file, verified.

        The values stay where they are in read-only memory, which must never change; what may be written to is copied.
        Raises `TableError` where the bytes are no table, or their values do not have the digest they claim.

        `verified` is the digest of a file that the caller has verified before. Its values are not read then; its
        header is, and must claim that digest.
        """
        view = memoryview(data)
        header = FileHeader.from_bytes(view, len(view), is_verified=verified is not None)
        values = np.frombuffer(view[header.size :], dtype="<f8")  # it keeps `data` alive, and a file's mapping with it
        if not (view.readonly and values.flags.aligned):
            values = values.copy()
        return cls._verified(header, values) if verified is None else cls._known(header, values, verified)

    @classmethod
    def _known(cls, header: FileHeader, values: Values, digest: str) -> Table:
        """The table of a header and values that are known to have this digest."""
        if header.digest != digest:
            raise TableError(f"another table: its header claims the digest {header.digest or 'none'}, not {digest}")
        table = cls.__new__(cls)
        data = values.astype(np.float64, copy=False).reshape(len(header.layout.columns), -1)
        table._adopt(header.layout, data, spec=header.spec, provenance=header.provenance)
        table._digest = digest
        return table

    @classmethod
    def _verified(cls, header: FileHeader, values: Values) -> Table:
        """The table of a header and values, shape [columns * total_steps], that have the digest in it."""
        data = values.astype(np.float64, copy=False).reshape(len(header.layout.columns), -1)
        check_values(header.layout, data)
        table = cls.__new__(cls)
        table._adopt(header.layout, data, spec=header.spec, provenance=header.provenance)
        if table.digest != header.digest:
            claimed = header.digest or "none"
            raise TableError(f"damaged table: its values have the digest {table.digest}, not {claimed}")
        return table


def check_table(value: object) -> None:
    """Raise `TypeError` for what is no table; where it is a schedule, with how to make one."""
    if not isinstance(value, Table):
        advice = ": make it with .table(total_steps)" if callable(getattr(value, "table", None)) else ""
        raise TypeError(f"table must be a Table, got {abbreviate(value)}{advice}")


def _by_schedule(
    plan: list[tuple[str, tuple[ColumnFiller, str]]],
) -> Iterable[tuple[ColumnFiller, list[tuple[str, str]]]]:
    """Each schedule of the plan, with the names of its columns in the table and in the schedule."""
    found: dict[tuple[int, str, str], tuple[ColumnFiller, list[tuple[str, str]]]] = {}
    for name, (schedule, column) in plan:
        driven, _, group = name.partition(".")
        use = (id(schedule), group, "" if driven == column else driven)
        found.setdefault(use, (schedule, []))[1].append((name, column))
    return found.values()


def _open_at_once(path: str, flags: int) -> int:
    """Open a file and return its descriptor, without blocking on a pipe that has no writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _mapped(file: BinaryIO) -> memoryview:
    return memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))


def _unpickled(data: bytes, spec: TableSource | None, provenance: Mapping[str, str]) -> Table:
    table = Table.from_bytes(data)
    table.spec, table.provenance = spec, provenance
    return table
