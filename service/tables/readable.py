"""The protocol of a table whose values can be read, from memory or from the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from scheduler.fields import Values
from scheduler.table_format import After, Axis, TableLayout


class Column(Protocol):
    """A column's values, shape [total_steps]: an array, or read from the store on access."""

    def __len__(self) -> int: ...

    def min(self) -> float:
        """The smallest value."""

    def max(self) -> float:
        """The largest value."""

    @overload
    def __getitem__(self, rows: Literal[0, -1], /) -> float: ...
    @overload
    def __getitem__(self, rows: slice | NDArray[np.int64], /) -> Values: ...


class ReadableTable(Protocol):
    """A table to read values from: `scheduler.Table` in memory, or `TableReader`, whose values stay in the store.

    The attributes are those of `scheduler.Table`. Reading a column of a table in the store blocks, and raises
    `TableError` if the file has changed.
    """

    @property
    def digest(self) -> str:
        """The SHA-256 of layout and values, which identifies the table."""

    @property
    def layout(self) -> TableLayout:
        """What the rows and columns are."""

    @property
    def axis(self) -> Axis:
        """What rows count."""

    @property
    def stride(self) -> int:
        """Units of progress per row."""

    @property
    def after(self) -> After:
        """What happens past the last row."""

    @property
    def total_steps(self) -> int:
        """The number of rows."""

    @property
    def columns(self) -> Mapping[str, Column]:
        """The columns by name."""

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""

    @property
    def header(self) -> bytes:
        """The header of the table's safetensors file. The values follow it."""
