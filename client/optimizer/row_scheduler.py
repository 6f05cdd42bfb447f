"""A scheduler's rows: writing them into an optimizer, and knowing whether what is there is its own."""

from __future__ import annotations

import atexit
import inspect
import warnings
import weakref
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from client.optimizer import messages
from client.optimizer.binding import Binding, NewGroup
from client.optimizer.groups import NO_RATES, SEARCHED, RowWriter, end_of_run, row_in_force, write_values
from client.optimizer.rate_tensors import WrittenTensor, is_same, same_rate, written_tensor
from client.pinned_table import PinnedTable
from scheduler import ScheduleWarning, Table
from scheduler.interop.group_fields import Group, read

_MOST_RATES = 4  # in a repr
_LONG_RUN = 16  # rows of one rate that are worth a note
_STEPPED = ("step", "epoch")  # axes on which one call of step() is one unit of progress


class RowScheduler(LRScheduler):
    """Writes a table's rows into an optimizer: which one, its subclass decides.

    Attributes:
        table: the values.
        run: the name of the run that the table was resolved from, with its `version`; None where it was not.
        relative: whether the table's values are factors of each group's own.
        groups: the names of the groups that the columns 0, 1 and so on belong to; None where their place decides.
        on_new_group: what a group gets that is added later; see `client.optimizer.binding`.
    """

    table: Table
    run: str | None = None
    version: int | None = None
    relative: bool = False
    groups: tuple[str, ...] | None = None
    on_new_group: NewGroup = None
    _is_initial: bool = False  # in the step that the constructor makes: torch before 2.9 does not say so
    _is_silent: bool = False  # in a step() of torch that is to write nothing
    _warned: set[str]  # what has been warned of
    _start: int = 0
    _idle: bool = False  # made, and not moved since
    _stepped_before: bool = False  # the optimizer, before this scheduler was made
    _count: int = 0  # groups written to
    _written: float | None = None  # the object last written as the first group's rate; None where others may write
    _released: bool = False  # at the table's end, and nobody has written a rate since

    def __repr__(self) -> str:
        rates = [f"{float(group['lr']):g}" for group in self.optimizer.param_groups]
        told = ", ".join(rates if len(rates) <= _MOST_RATES else [*rates[:_MOST_RATES], "..."])
        run = "" if self.run is None else f" of {self.run} v{self.version}"
        where = f"{self.table.axis} {self.last_epoch:,} of {self._end:,}"
        return f"<{type(self).__name__} at {where}, lr {told}, table {self.table.digest[:12]}{run}>"

    def _hold(self, table: Table) -> None:
        self.table = table
        if isinstance(table, PinnedTable):
            self.run, self.version = table.run, table.version

    def _bind(self) -> None:
        """Set up what is derived from the table, and cannot be copied or pickled."""
        binding = Binding(self.table, self.groups, self.on_new_group)
        self._writer = RowWriter(self.table, relative=self.relative, binding=binding)
        self._use(NO_RATES)  # filled at the first real step: until then torch's own checks should run
        self._tensors: dict[int, WrittenTensor] = {}

    # -- torch's step -------------------------------------------------------------------------------------------------

    def _initial_step(self) -> None:
        self._is_initial = True
        try:
            super()._initial_step()
        finally:
            self._is_initial = False

    def _step_as_torch(self, epoch: int | None) -> None:
        """Torch's own `step()`: it checks the order of calls, counts this one, and has `_update_lr` write."""
        if hasattr(LRScheduler, "_update_lr"):
            super().step(epoch)
            return
        # torch before 2.9 has no such method: it moves and writes by itself
        position, rates = self.last_epoch, vars(self).get("_last_lr")
        self._is_silent = True
        try:
            super().step(epoch)
        finally:
            self._is_silent = False
            self.last_epoch = position
            if rates is not None:
                self._last_lr = rates
        self._update_lr(epoch)

    # -- writing ------------------------------------------------------------------------------------------------------

    def get_lr(self) -> list[Any]:
        """The table's rates at the present position, one Python float per parameter group."""
        if self._is_silent:
            return []
        row = self._row(self.last_epoch)
        groups = self.optimizer.param_groups
        return [*(map(float, self._last_lr) if row is None else self._writer.rates(groups, row))]

    def _go_to(self, progress: int) -> None:
        self._apply(self._row(progress))
        self.last_epoch = progress
        self._idle = self._idle and self._is_initial

    def _row(self, progress: int) -> int | None:
        """The table's row for a progress, row 0 for a negative one; None where the rate is released."""
        return row_in_force(self.table, max(progress, 0))  # SequentialLR takes back those whose turn is to come

    def _apply(self, row: int | None) -> None:
        groups = self.optimizer.param_groups
        self._released = row is None and (self._in_force() or (self._released and self._is_untouched()))
        if row is None:
            self._last_lr = [float(group["lr"]) for group in groups]
            self._written = None
        else:
            self._last_lr = [*self._writer.write(groups, row)]
            self._sign(groups)
        if self._rates:  # those of the groups that were: the writer may have met others
            self._use(self._rates_of_steps())

    def _sign(self, groups: list[Group]) -> None:
        """Record the objects written into the groups, to tell them from equal rates that another scheduler wrote."""
        self._count = len(groups)
        self._written = self._last_lr[0]  # type: ignore[assignment]  # ours are floats
        # what was written is a float or a tensor, and `type` is quicker than `is_tensor`
        self._tensors = {
            i: written_tensor(rate) for i, group in enumerate(groups) if type(rate := group["lr"]) is not float
        }

    def _rates_of_steps(self) -> memoryview[float]:
        """The rates by step, for the fast path of `step`, if each step is one row for all groups. Else empty."""
        one_per_step = self.table.stride == 1 and self.table.axis in _STEPPED
        return self._writer.rates_by_row() if one_per_step else NO_RATES

    @property
    def _end(self) -> int:
        return self.table.total_steps * self.table.stride

    def _values(self, name: str) -> list[float]:
        return [float(read(group, name)) for group in self.optimizer.param_groups]

    # -- moving fast --------------------------------------------------------------------------------------------------

    def _use(self, rates: memoryview[float]) -> None:
        """Take other rates for the fast path of `step`, in which no run of equal rates is known yet."""
        self._rates = rates
        self._run_start = self._run_end = self._next_search = 0
        self._run_rate: float | None = None  # the object in force throughout the run

    def _find_run(self, progress: int) -> None:
        """Note until which row the rate stays as it is, for one in force that is also that of row `progress`."""
        end = end_of_run(self._rates, progress)
        if end - progress < _LONG_RUN:
            self._next_search = progress + SEARCHED
            return
        self._run_start, self._run_end, self._run_rate = progress, end, self._written
        self._next_search = end

    def _step_all(self, progress: int) -> bool:
        """Move several groups to the row of `progress` where that is one rate for all; whether it was."""
        groups, written, count = self.optimizer.param_groups, self._written, self._count
        if len(groups) != count:
            return False
        for group in groups:  # all of them: another writer may have changed any one's rate
            if group["lr"] is not written:
                return False
        try:
            rate = self._rates[progress]
        except IndexError:
            return False
        self.last_epoch = progress
        self._step_count += 1
        if rate != written:
            self._written = rate
            for group in groups:
                group["lr"] = rate
            self._last_lr = [rate] * count
        return True

    # -- whose rates --------------------------------------------------------------------------------------------------

    def _prepare(self, progress: int) -> None:
        """Before a step: bind groups that were added, and warn of another writer or of a step past the end."""
        if self._is_initial:
            return
        groups = self.optimizer.param_groups
        if not self._writer.fits(groups):
            self._writer.bind(groups)
            self._warn_of_own_values(groups)
        if self._overwritten():
            self._warn("writer", messages.OTHER_WRITER)
        if progress > self._end and self.table.after == "hold":
            self._warn("end", messages.past_end(self.table, progress))

    def _warn_of_own_values(self, groups: list[Group]) -> None:
        if "own" not in self._warned and (values := self._writer.disagreement(groups)):
            self._warn("own", messages.own_values(values))

    def _warn(self, what: str, message: str) -> None:
        """Warn of each thing once, at the line outside of torch and of here that led to it."""
        if what not in self._warned:
            self._warned.add(what)
            warnings.warn(message, ScheduleWarning, _level_of_user())

    def _overwritten(self) -> bool:
        """Whether a rate in the optimizer differs from the one this scheduler wrote."""
        pairs = zip(self.optimizer.param_groups, self._last_lr, strict=False)  # groups added since were not written
        return self._written is not None and any(not same_rate(group["lr"], float(rate)) for group, rate in pairs)

    def _in_force(self) -> bool:
        """Whether the rates in the optimizer are the objects that this scheduler wrote, not only equal numbers."""
        # SequentialLR takes back those whose turn is to come
        return self._written is not None and self.last_epoch >= 0 and self._is_untouched()

    def _keeps_rates(self) -> bool:
        """Whether the rates in force are this scheduler's. Where others wrote the same numbers, it writes them again.

        Not where they are another TableLR's, or tensors.
        """
        if self._in_force():
            return True
        groups = self.optimizer.param_groups
        is_equal = self._written is not None and self.last_epoch >= 0 and not self._overwritten()
        if not is_equal or any(type(group["lr"]) is not float for group in groups) or self._others_in_force():
            return False
        self._apply(self._row(self.last_epoch))
        return True

    def _others_in_force(self) -> bool:
        return any(other is not self and other._in_force() for other in _on_optimizer[self.optimizer])

    def _is_untouched(self) -> bool:
        pairs = zip(self.optimizer.param_groups, self._last_lr, strict=False)  # groups added since were not written
        return all(is_same(group["lr"], rate, self._tensors.get(i)) for i, (group, rate) in enumerate(pairs))

    def _leads(self) -> bool:
        """Whether the first group's rate is the object that this scheduler wrote."""
        rate = self.optimizer.param_groups[0]["lr"]
        return self._written is not None and is_same(rate, self._last_lr[0], self._tensors.get(0))

    def _share(self) -> None:
        """Let the other schedulers of this class on the optimizer know of this one."""
        _on_optimizer.setdefault(self.optimizer, weakref.WeakSet()).add(self)
        _living.add(self)

    def _leave_to_others(self, values: dict[str, list[float]]) -> None:
        if not self._others_in_force():
            write_values(self.optimizer.param_groups, values)
        self._last_lr = [*values["lr"]]
        self._written = None

    # -- at its end ---------------------------------------------------------------------------------------------------

    def _warn_if_stuck(self) -> None:
        stuck = (
            self._idle and not self._stepped_before and self._in_force()
        )  # a SequentialLR may have moved on to another, or not come to this one
        if stuck and getattr(self.optimizer, "_opt_called", False) and self._may_be_late():
            warnings.warn(messages.never_stepped(self._start), ScheduleWarning, stacklevel=3)

    def _may_be_late(self) -> bool:
        """Whether more than one update may have had the row in force."""
        return True

    def __del__(self) -> None:
        if not _ended:
            self._warn_if_stuck()


def _level_of_user() -> int:
    """The level of the stack, for a warning of the caller's, at which neither torch nor this package is any more."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("client", "torch"):
        frame, level = frame.f_back, level + 1
    return level


_on_optimizer: weakref.WeakKeyDictionary[Optimizer, weakref.WeakSet[RowScheduler]] = weakref.WeakKeyDictionary()
"""Every scheduler on an optimizer, so that an inactive one can see that another's values are in force."""

_living: weakref.WeakSet[RowScheduler] = weakref.WeakSet()
_ended: list[bool] = []


@atexit.register
def _warn_at_exit() -> None:
    """Warn while all that it takes is still there: when the interpreter ends, modules go before some objects do."""
    for scheduler in [*_living]:
        scheduler._warn_if_stuck()
    _ended.append(True)
