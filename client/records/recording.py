"""Reading what an optimizer has in force at each update, and handing it to recorders."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from client.optimizer.hooks import with_hooks
from client.records.applied_file import AppliedRatesFile
from client.records.recorder import Recorder
from scheduler import ScheduleWarning, Table
from scheduler.audit.applied import Origin
from scheduler.interop.group_fields import Group, number_readers
from scheduler.texts import abbreviate

To = Recorder | str | os.PathLike[str]
"""A recorder, or the path of a file of applied rates."""
_Read = Callable[[Group], Any]


def record_rates(
    scheduler: Any,
    to: To | Sequence[To],
    *,
    every: int = 1,
    columns: Sequence[str] | None = None,
    table: Table | None = None,
    start: int | None = None,
) -> Recording:
    """Record what the optimizer has in force when an update begins, for every update until the recording is closed.

    It is read in a hook of the optimizer that really steps, the innermost one of wrappers: what is recorded is what
    was used, whatever was planned. Updates are counted by the hook, not by the scheduler. Call it when all is set up:
    where a scheduler writes in a hook of its own, that hook must be the earlier one.

    Args:
        scheduler: a `TableLR`, another scheduler of torch, or an optimizer.
        to: recorders, or paths of files of applied rates (`AppliedRatesFile`), one or several. In a job of several
            processes, let one of them record.
        every: record the updates whose number is a multiple of this.
        columns: names of the values, as tables name them, without a group's number. Without it those of the table, or
            `lr`.
        table: the table that is applied, where the scheduler does not have it.
        start: the number of the first update. Without it the scheduler's position when that update begins, where
            it counts steps, else 0.

    A recorder that fails while the training runs is left out from then on, with a `ScheduleWarning`: a full disk
    should not end a training. Rates that are tensors on a device are copied from it at each record.

    Raises `ValueError` for an optimizer without torch's hooks, and for a column that its groups do not have; and what
    `Recorder.start` raises.
    """
    return Recording(scheduler, _recorders(to), every=every, columns=columns, table=table, start=start)


class Recording:
    """A recording that is going on; made by `record_rates`. Close it, or use it in a `with` block."""

    def __init__(
        self,
        scheduler: Any,
        recorders: list[Recorder],
        *,
        every: int,
        columns: Sequence[str] | None,
        table: Table | None,
        start: int | None,
    ) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(f"every must be a whole number from 1, got {abbreviate(every)}")
        self._scheduler = scheduler
        self._inner = with_hooks(getattr(scheduler, "optimizer", scheduler))
        if not self._inner:
            raise ValueError(
                f"{type(scheduler).__name__} has an optimizer without torch's hooks: nothing tells when it steps"
            )
        self._recorders = recorders
        self._every = every
        self._given = table
        self._table = self._applied()
        self._next = start
        if columns is None:
            columns = ["lr"] if self._table is None else sorted({_plain(name) for name in self._table.columns})
        self._reads = _readers(self._groups(), columns)
        for recorder in recorders:
            recorder.start(self._origin(), [name for name, _, _ in self._reads])
        self._hook = self._inner[0].register_step_pre_hook(self._before_step)

    def _before_step(self, _optimizer: Any, _arguments: Any, _options: Any) -> None:
        update = self._position() if self._next is None else self._next
        self._next = update + 1
        if update % self._every:
            return
        if self._applied() is not self._table:
            self._table = self._applied()
            self._each(lambda recorder: recorder.follow(self._origin()))
        groups = self._groups()
        values = {name: float(read(groups[index])) for name, index, read in self._reads}
        self._each(lambda recorder: recorder.record(update, values))

    def _each(self, call: Callable[[Recorder], None]) -> None:
        """Call every recorder, and leave out those that fail."""
        for recorder in [*self._recorders]:
            try:
                call(recorder)
            except Exception as error:  # whatever it is, the training matters more
                self._recorders.remove(recorder)
                message = f"{type(recorder).__name__} records no more rates: {type(error).__name__}: {error}"
                warnings.warn(message, ScheduleWarning, stacklevel=2)

    def _groups(self) -> list[Group]:
        if len(self._inner) == 1:
            groups: list[Group] = self._inner[0].param_groups
            return groups
        return [group for inner in self._inner for group in inner.param_groups]

    def _position(self) -> int:
        counts_steps = self._table is None or self._table.axis == "step"
        return max(int(getattr(self._scheduler, "last_epoch", 0)), 0) if counts_steps else 0

    def _applied(self) -> Table | None:
        """The table that is applied now: that of the scheduler may be replaced."""
        if self._given is not None:
            return self._given
        table = getattr(self._scheduler, "table", None)
        return table if isinstance(table, Table) else None

    def _origin(self) -> Origin:
        if self._table is None:
            return Origin()
        named = self._table if self._given is not None else self._scheduler
        return Origin(self._table.digest, getattr(named, "run", None), getattr(named, "version", None))

    def close(self) -> None:
        """Stop reading, and close the recorders: what was recorded is then written."""
        self._hook.remove()
        self._each(lambda recorder: recorder.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _recorders(to: To | Sequence[To]) -> list[Recorder]:
    several: list[Any] = list(to) if isinstance(to, (list, tuple)) else [to]
    found: list[Recorder] = []
    for each in several:
        if isinstance(each, (str, os.PathLike)):
            found.append(AppliedRatesFile(each))
        elif callable(getattr(each, "record", None)):
            found.append(each)
        else:
            raise TypeError(f"to must be a recorder or a path, or several of them, got {abbreviate(each)}")
    return found


def _readers(groups: list[Group], columns: Sequence[str]) -> list[tuple[str, int, _Read]]:
    """For each column and group: the name, the group's number, and what reads the value from the group."""
    reads = []
    for column in columns:
        for index, group in enumerate(groups):
            readers = number_readers(group)
            if column not in readers:
                raise ValueError(
                    f"column {column!r} is not in group {index} of the optimizer, which has {', '.join(readers)}"
                )
            reads.append((column if len(groups) == 1 else f"{column}.{index}", index, readers[column]))
    return reads


def _plain(name: str) -> str:
    return name.partition(".")[0]
