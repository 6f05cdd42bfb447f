"""A table's values, read: by progress, by row, by column, as an array, a tensor or a data frame."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from scheduler.fields import MANY, Many, Values, integers, is_tensor_of_several
from scheduler.numerics.progress import progress_index
from scheduler.table_format import After, Axis, TableError
from scheduler.texts import abbreviate

if TYPE_CHECKING:
    from pandas import DataFrame


class PastEndError(IndexError):
    """A step past the last row of a table whose `after` is `error`."""


class TableValues:
    """Named columns over the rows of a schedule, and the ways to read them.

    `table["lr"]` is a column, `len(table)` the number of rows. A table with one column is a sequence of its values:
    `table[k]` is row k as a Python float (counted from the end where k is negative), `table[10:20]` and `table[[0, 5]]`
    are read-only arrays, and `list(table)`, `numpy.asarray(table)` and `torch.as_tensor(table)` give all of it as
    float64. These count rows; what is in force past the last row, and for how long a row is, `get_lr` and `row` know.
    """

    axis: Axis
    stride: int
    after: After
    total_steps: int
    columns: Mapping[str, Values]
    _floats: Mapping[str, memoryview[float]]  # indexing one gives a Python float, in 60 ns
    _lr: memoryview[float] | None  # of the group 0

    # -- by progress --------------------------------------------------------------------------------------------------

    @property
    def lr(self) -> Values:
        """The learning rates, shape [total_steps], read-only. Raises `TableError` where each group has its own."""
        if "lr" not in self.columns:
            raise TableError(f"this table has no column 'lr', only {', '.join(self.columns)}")
        return self.columns["lr"]

    @property
    def groups(self) -> int | None:
        """The number of parameter groups with columns of their own; None where every group gets the same values."""
        numbers = {int(name.partition(".")[2]) for name in self.columns if "." in name}
        return max(numbers) + 1 if numbers else None

    @overload
    def get_lr(  # type: ignore[overload-overlap]  # an array has __index__, too
        self, progress: Many, *, group: SupportsIndex = 0
    ) -> Values: ...

    @overload
    def get_lr(self, progress: SupportsIndex, *, group: SupportsIndex = 0) -> float: ...

    def get_lr(self, progress: SupportsIndex | Many, *, group: SupportsIndex = 0) -> float | Values:
        """The learning rate in force at `progress`, a Python float; for several of them, a new float64 array.

        `progress` counts applied updates from 0 on the `step` axis, and the axis's own units on the others. Past the
        last row: the last row's value with `after` `hold` or `release`; with `error`, `PastEndError`, except exactly
        at the end (trainers step once more after the last update). An array of any shape, or a list, gives the rates
        in that shape.

        Raises `TypeError` for a progress that is no whole number, `ValueError` for one that is negative or above
        `MAX_PROGRESS`, `TableError` where the group has no rate.
        """
        if type(progress) is int and not group and progress >= 0:  # the common case; all else by the rule of row()
            try:
                return self._lr[progress if self.stride == 1 else progress // self.stride]  # type: ignore[index]  # None
            except (IndexError, TypeError):  # past the end, or no rate for all groups: answered below
                pass
        if isinstance(progress, MANY) or is_tensor_of_several(progress):
            return self._rates(progress, group)
        row = self.row(progress, group=group)  # type: ignore[arg-type]  # which refuses what is no whole number
        if "lr" not in row:
            raise self._no_rate(group)
        return row["lr"]

    def row(self, progress: SupportsIndex, *, group: SupportsIndex = 0) -> dict[str, float]:
        """Every value in force at `progress` for a parameter group: column name without suffix to Python float."""
        index = min(self._checked_row(progress_index(progress, self.axis)), self.total_steps - 1)
        return {name.partition(".")[0]: self._floats[name][index] for name in self._names_of(group)}

    def _rates(self, progress: Many, group: SupportsIndex) -> Values:
        asked = integers(progress, self.axis)
        if asked.size:
            progress_index(int(asked.min()), self.axis)
            self._checked_row(progress_index(int(asked.max()), self.axis))
        name = next((name for name in self._names_of(group) if name.partition(".")[0] == "lr"), None)
        if name is None:
            raise self._no_rate(group)
        rows = np.minimum(asked.astype(np.uint64) // np.uint64(self.stride), np.uint64(self.total_steps - 1))
        return np.asarray(self.columns[name][rows.astype(np.intp)])

    def _checked_row(self, progress: int) -> int:
        """The row of a progress, if need be past the last one; `PastEndError` where that must not be."""
        row = progress // self.stride
        if self.after == "error" and row > self.total_steps:
            end = self.total_steps * self.stride
            raise PastEndError(f"{self.axis} {progress} is past the end of this table, which ends at {end}")
        return row

    def _names_of(self, group: SupportsIndex) -> list[str]:
        """The columns of a parameter group. Raises `ValueError` where there is no such group, `TypeError` for none."""
        try:
            groups, index = self.groups, operator.index(group)
        except TypeError:
            raise TypeError(f"group must be an integer, got {abbreviate(group)}") from None
        if index < 0 or (groups is not None and index >= groups):
            raise ValueError(f"group must be from 0 to {(groups or 1) - 1}, got {index}")
        return [name for name in self.columns if "." not in name or name.endswith(f".{index}")]

    def _no_rate(self, group: SupportsIndex) -> TableError:
        return TableError(f"this table has no rate for group {group}, only {', '.join(self.columns)}")

    # -- as a sequence, an array, a tensor, a data frame --------------------------------------------------------------

    def __len__(self) -> int:
        return self.total_steps

    def __bool__(self) -> bool:
        return True

    @overload
    def __getitem__(self, key: str | slice | Many) -> Values: ...  # type: ignore[overload-overlap]  # as above

    @overload
    def __getitem__(self, key: SupportsIndex) -> float: ...

    def __getitem__(self, key: str | slice | Many | SupportsIndex) -> float | Values:
        if isinstance(key, str):
            if key not in self.columns:
                raise KeyError(f"this table has no column {key!r}, only {', '.join(self.columns)}")
            return self.columns[key]
        column = self._only_column(f"table['lr'][{key!r}]" if isinstance(key, int) else "table['lr']")
        if isinstance(key, (slice, *MANY)):
            return column[key]
        if is_tensor_of_several(key):
            return np.asarray(column[np.asarray(key)])
        try:
            # True is 1 to Python, and hardly what is meant
            given = None if isinstance(key, bool | np.bool_) else key
            index = operator.index(given)  # type: ignore[arg-type]  # refuses what is not one, the question here
        except TypeError:
            raise TypeError(f"a table is indexed by rows or the name of a column, got {abbreviate(key)}") from None
        return float(column[index])

    def __iter__(self) -> Iterator[float]:
        return iter(self._only_column("table['lr']").tolist())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._only_column("table['lr']"), dtype=dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        return self._only_column("table['lr']").copy().__dlpack__(**options)  # a tensor may be written to

    def __dlpack_device__(self) -> tuple[int, int]:
        kind, index = np.empty(0).__dlpack_device__()
        return int(kind), int(index)

    def to_pandas(self) -> DataFrame:
        """A `pandas.DataFrame`: a column for each of the table's, indexed by the progress at which a row begins.

        The index has the axis's name, and the values are copied. Raises `ImportError` where pandas is missing.
        """
        import pandas as pd  # noqa: PLC0415  # only who asks for it needs it

        index = pd.RangeIndex(0, self.total_steps * self.stride, self.stride, name=self.axis)
        return pd.DataFrame({name: values.copy() for name, values in self.columns.items()}, index=index)

    def _only_column(self, advice: str) -> Values:
        if len(self.columns) > 1:
            raise TableError(f"this table has several columns, {', '.join(self.columns)}: name one, as in {advice}")
        return next(iter(self.columns.values()))
