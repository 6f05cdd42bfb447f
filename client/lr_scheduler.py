"""A table as a torch scheduler."""

from __future__ import annotations

import logging
import warnings
import weakref
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from client.optimizer import messages
from client.optimizer.arguments import check_types
from client.optimizer.groups import NO_RATES, RowWriter, write_values
from client.optimizer.hooks import on_load, renew_groups, track_steps
from client.optimizer.rate_tensors import WrittenTensor, is_same, same_rate, written_tensor
from client.optimizer.replacement import check_replacement
from client.optimizer.scheduler_state import SavedState, checked_progress
from client.pinned_table import PinnedTable
from scheduler import PastEndError, ScheduleWarning, Table
from scheduler.interop.group_fields import Group, check_place, read
from scheduler.views.difference import first_difference

_STEPPED = ("step", "epoch")  # axes on which one call of step() is one unit of progress

_logger = logging.getLogger(__name__)


class TableLR(LRScheduler):
    """Writes a table's values into an optimizer: row k is in force during update k.

    The constructor writes row `start`; each `step()`, called after `optimizer.step()`, writes the next. A column goes
    to the number of its name in every group: `lr`, `momentum`, `weight_decay`, `eps`; `beta1` and `beta2` are those of
    `betas` (see `scheduler.interop.group_fields`). `lr.0`, `lr.1` go to group 0 and 1. Rates are Python floats; where a
    group's rate is a tensor, that tensor is filled in place.

    Past the table's last row its `after` decides: `hold` keeps the last values (with a `ScheduleWarning`, once),
    `error` raises `PastEndError`, `release` writes nothing any more and leaves the rate to another scheduler. One step
    past the end is always silent, because trainers step once more after the last update.

    On the axes `sample` and `token` a bare `step()` cannot know the progress and raises `RuntimeError`: call
    `set_progress(n)` after each update, with the number of samples or tokens seen so far by all workers together.

    One value for all groups replaces what each had: where those differed, a `ScheduleWarning` says so, once. With
    `relative=True` the table holds factors, and each group gets its own value (`initial_lr`, as torch keeps it,
    `initial_weight_decay` and so on) times the table's: bit for bit what `LambdaLR` gives for the table as its
    function. A rate that is a tensor gets that product rounded once, where torch multiplies in its precision.

    A parameter group added later gets the table's values at the next step; with values per group it is an error.

    Loading the optimizer's state keeps this scheduler's row in force, because torch calls a hook then. An optimizer
    that is one by class alone is followed through what it wraps. Where nothing in it has hooks, load its state first:
    else the next update has the rate that was in that state, and the one after it the table's.

    Args:
        optimizer: the optimizer to drive: what `LambdaLR` takes.
        table: the values. Raises `ValueError` where its columns do not fit the optimizer's groups, and where a
            hyperparameter is a tensor that cannot hold them, such as `torch.tensor(1)`.
        start: progress to start from, in units of the table's axis; 0 or more.
        relative: whether the table's values are factors of each group's own. False says that one value for all groups
            is meant, and silences the warning.

    Warns with `ScheduleWarning`, once each: another writer has changed the rate since the last write; the optimizer was
    stepped and this scheduler never; groups with values of their own get one for all.
    """

    table: Table
    run: str | None = None  # of a table that share_table resolved by a run's name, with its version
    version: int | None = None
    relative: bool = False
    _start: int = 0
    _idle: bool = False  # made, and not moved since
    _written: float | None = None  # the object last written as the first group's rate; None where others may write
    _released: bool = False  # at the table's end, and nobody has written a rate since
    _writes_again: bool = False  # after the optimizer's state is loaded

    def __init__(self, optimizer: Optimizer, table: Table, *, start: int = 0, relative: bool | None = None) -> None:
        check_types(optimizer, table, relative)
        self._hold(table)
        self.relative = bool(relative)
        self._start = checked_progress(start)
        self._warned: set[str] = set()
        self._bind()
        renew_groups(optimizer)
        self._writer.bind(optimizer.param_groups)
        for group in optimizer.param_groups:  # torch demands it where it is told to start elsewhere than at 0
            group.setdefault("initial_lr", torch.clone(rate) if torch.is_tensor(rate := group["lr"]) else rate)
        if not hasattr(optimizer.step, "__func__"):
            track_steps(optimizer)
        if relative is not None:
            self._warned.add("own")
        self._warn_of_own_values(optimizer.param_groups, stacklevel=4)
        stepped_before = getattr(optimizer, "_opt_called", False)  # then its flag will say nothing about our time
        super().__init__(optimizer, self._start - 1)
        self._follow_optimizer()
        self._idle = not stepped_before

    def _hold(self, table: Table) -> None:
        self.table = table
        if isinstance(table, PinnedTable):
            self.run, self.version = table.run, table.version

    def _bind(self) -> None:
        """Set up what is derived from the table, and cannot be copied or pickled."""
        self._writer = RowWriter(self.table, relative=self.relative)
        self._rates = NO_RATES  # filled at the first real step: until then torch's own checks should run
        self._tensors: dict[int, WrittenTensor] = {}

    # -- moving -------------------------------------------------------------------------------------------------------

    def step(self, epoch: int | None = None) -> None:
        """Write the next row, after an update of the optimizer.

        `epoch`, deprecated by torch, moves there instead. Raises `RuntimeError` on the axes `sample` and `token`, and
        `PastEndError` past the end of a table whose `after` is `error`; never `TypeError`, which DeepSpeed would take
        for an invitation to call `step(batch_size)`.
        """
        groups = self.optimizer.param_groups
        written = self._written
        if epoch is None and groups[0]["lr"] is written and groups[-1]["lr"] is written:
            progress = self.last_epoch + 1
            try:
                rate = self._rates[progress]
            except IndexError:
                pass
            else:
                self.last_epoch = progress
                self._step_count += 1
                if rate != written:
                    for group in groups:
                        group["lr"] = rate
                    self._written = rate
                    self._last_lr = [rate] * len(groups)
                return
        self._check_step(epoch)
        self._prepare(self.last_epoch + 1)
        super().step(epoch)
        if not self._is_initial:
            self._rates = self._rates_of_steps()

    def set_progress(self, n: int) -> None:
        """Write the row for progress `n`, counted in the table's axis from 0. Calling it again changes nothing.

        Raises `ValueError` for what is not a whole number, 0 or more.
        """
        progress = checked_progress(n)
        self._prepare(progress)
        self._go_to(progress)
        self._step_count = max(self._step_count, 2)  # as after a step: this scheduler is in use

    def replace_table(self, table: Table, *, from_step: int | None = None) -> None:
        """Go on with another table, which repeats every row applied so far: the row in force is that of the new one.

        Position, hooks and a group's own values stay as they are. A `PinnedTable` brings its run and version.

        Args:
            table: the new table, with the columns, axis and stride of the old one.
            from_step: the first row that may differ; without it, the row in force.

        Raises `ValueError`, and has changed nothing, where the tables differ in a row before `from_step` or before the
        present position (the row and both values are named), where `from_step` is before the present position, where
        the position is past the end of the old table, and where the values do not fit the optimizer's groups.
        """
        groups = self.optimizer.param_groups
        self.check_replacement(table, from_step=from_step)
        writer = RowWriter(table, relative=self.relative)
        writer.bind(groups, self._writer.own_values(groups))
        # nothing can be refused from here on
        is_ours = self._in_force() or (self._released and self._is_untouched())
        self._hold(table)
        self._writer = writer
        self._warned.discard("end")
        if self._rates:
            self._rates = self._rates_of_steps()
        if is_ours:
            self._apply(self._row(self.last_epoch))

    def check_replacement(self, table: Table, *, from_step: int | None = None) -> None:
        """Raise what `replace_table` would raise, and change nothing."""
        groups = self.optimizer.param_groups
        check_replacement(self.table, table, max(self.last_epoch, 0), from_step)
        RowWriter(table, relative=self.relative).check(groups, self._writer.own_values(groups))

    def advance(self, *, stepped: bool = True) -> None:
        """`step()` where the optimizer has really stepped: a `GradScaler` skips updates, and those do not count."""
        if stepped:
            self.step()

    def get_lr(self) -> list[float | torch.Tensor]:
        """The table's rates at the present position, one Python float per parameter group."""
        row = self._row(self.last_epoch)
        groups = self.optimizer.param_groups
        return [*(map(float, self._last_lr) if row is None else self._writer.rates(groups, row))]

    def _update_lr(self, epoch: int | None = None) -> None:
        # torch comes here from its own step(), from the constructor, and from SequentialLR at a milestone
        self._go_to(self.last_epoch + 1 if epoch is None else checked_progress(epoch))

    def _go_to(self, progress: int) -> None:
        self._apply(self._row(progress))
        self.last_epoch = progress
        self._idle = self._idle and self._is_initial

    def _row(self, progress: int) -> int | None:
        """The table's row for a progress, row 0 for a negative one; None where the rate is released."""
        row = max(progress // self.table.stride, 0)  # SequentialLR takes back those whose turn is to come
        last = self.table.total_steps - 1
        if row <= last:
            return row
        if self.table.after == "error" and row > last + 1:
            raise PastEndError(f"{self.table.axis} {progress} is past the table's end, {self._end}")
        return None if self.table.after == "release" else last

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
            self._rates = self._rates_of_steps()

    def _sign(self, groups: list[Group]) -> None:
        """Record the objects written into the groups, to tell them from equal rates that another scheduler wrote."""
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

    # -- watching -----------------------------------------------------------------------------------------------------

    def _check_step(self, epoch: int | None) -> None:
        if epoch is not None:
            checked_progress(epoch)
        elif self.table.axis not in _STEPPED and not self._is_initial:
            raise RuntimeError(messages.unknown_progress(self.table.axis))

    def _prepare(self, progress: int) -> None:
        """Before a step: bind groups that were added, and warn of another writer or of a step past the end."""
        if self._is_initial:
            return
        groups = self.optimizer.param_groups
        if not self._writer.fits(groups):
            self._writer.bind(groups)
            self._warn_of_own_values(groups, stacklevel=5)
        if self._overwritten():
            self._warn("writer", messages.OTHER_WRITER)
        if progress > self._end and self.table.after == "hold":
            self._warn("end", messages.past_end(self.table, progress))

    def _warn_of_own_values(self, groups: list[Group], stacklevel: int) -> None:
        if "own" not in self._warned and (values := self._writer.disagreement(groups)):
            self._warn("own", messages.own_values(values), stacklevel)

    def _warn(self, what: str, message: str, stacklevel: int = 4) -> None:
        """Warn of each thing once, at the line that made the scheduler, or called step() or set_progress()."""
        if what not in self._warned:
            self._warned.add(what)
            warnings.warn(message, ScheduleWarning, stacklevel)

    def _overwritten(self) -> bool:
        """Whether a rate in the optimizer differs from the one this scheduler wrote."""
        pairs = zip(self.optimizer.param_groups, self._last_lr, strict=False)  # groups added since were not written
        return self._written is not None and any(not same_rate(group["lr"], float(rate)) for group, rate in pairs)

    def _in_force(self) -> bool:
        """Whether the rates in the optimizer are the objects that this scheduler wrote, not only equal numbers."""
        # SequentialLR takes back those whose turn is to come
        return self._written is not None and self.last_epoch >= 0 and self._is_untouched()

    def _is_untouched(self) -> bool:
        pairs = zip(self.optimizer.param_groups, self._last_lr, strict=False)  # groups added since were not written
        return all(is_same(group["lr"], rate, self._tensors.get(i)) for i, (group, rate) in enumerate(pairs))

    def __del__(self) -> None:
        stuck = self._idle and self._in_force()  # a SequentialLR may have moved on to another, or not come to this one
        if stuck and getattr(self.optimizer, "_opt_called", False):
            warnings.warn(messages.never_stepped(self._start), ScheduleWarning, stacklevel=2)

    # -- saving and resuming ------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers and text: position, the digest (and run), the optimizer's values, and who wrote them."""
        return SavedState(
            last_epoch=self.last_epoch,
            step_count=self._step_count,
            values={name: self._values(name) for name in self._writer.names},
            in_force=self._in_force() and len(self._last_lr) == len(self.optimizer.param_groups),
            digest=self.table.digest,
            axis=self.table.axis,
            stride=self.table.stride,
            relative=self.relative,
            initial=self._writer.own_values(self.optimizer.param_groups),
            run=self.run,
            version=self.version,
        ).to_dict()

    def load_state_dict(self, state_dict: dict[str, Any], *, allow_other_table: bool | Table = False) -> None:
        """Take up a saved position and write its values, whether the optimizer's state is loaded before or after.

        The state names its table. Another one raises `DigestMismatchError`, unless `allow_other_table` says that the
        change is meant: the change and the jump of the rate are then logged, and where the old table itself is given,
        the first row in which they differ. Raises `ValueError`, naming field and value, for a state that is not one of
        a TableLR, that is damaged, or that has another axis, stride, number of groups or `relative`. Whatever raises,
        nothing has changed.

        Values that were not this scheduler's when the state was saved (it had released them, or its turn in a
        `SequentialLR` was over or still to come) are put back as they were, unless another TableLR's are there.
        """
        groups = self.optimizer.param_groups
        state = SavedState.parse(state_dict, len(groups))
        state.check_table(self.table, relative=self.relative, allowed=allow_other_table)
        state.check_columns(self._writer.names, same_table=state.digest == self.table.digest)
        row = self._row(state.last_epoch) if state.in_force else None
        if row is None:
            state.check_released(self.table)
            for name in state.values:
                for index, group in enumerate(groups):
                    check_place(group, index, name)
        self._writer.bind(groups, state.initial)
        # nothing can be refused from here on
        self.last_epoch = state.last_epoch
        self._step_count = state.step_count
        if state.run is not None and state.digest == self.table.digest:
            self.run, self.version = state.run, state.version
        self._idle = False
        self._rates = self._rates_of_steps()
        if row is not None:
            self._apply(row)
        else:
            self._leave_to_others(state.values)
        if state.digest != self.table.digest:
            old = allow_other_table
            where = f"; they differ from row {first_difference(old, self.table)}" if isinstance(old, Table) else ""
            _logger.warning("%s%s", messages.other_table(self.table, state, self._values("lr")), where)

    def _values(self, name: str) -> list[float]:
        return [float(read(group, name)) for group in self.optimizer.param_groups]

    def _leave_to_others(self, values: dict[str, list[float]]) -> None:
        if not any(other is not self and other._in_force() for other in _on_optimizer[self.optimizer]):
            write_values(self.optimizer.param_groups, values)
        self._last_lr = [*values["lr"]]
        self._written = None

    def _follow_optimizer(self) -> None:
        """Write our values again where loading the optimizer's state has replaced them."""
        on_load(self.optimizer, self._before_load, self._take_up_groups)
        _on_optimizer.setdefault(self.optimizer, weakref.WeakSet()).add(self)

    def _before_load(self) -> None:
        self._writes_again = self._in_force()

    def _take_up_groups(self) -> None:
        """After the optimizer's state was loaded, which has replaced the groups."""
        renew_groups(self.optimizer)
        self._writer.unbind()
        self._rates = NO_RATES
        if self._writes_again:
            self._apply(self._row(self.last_epoch))

    def __getstate__(self) -> dict[str, Any]:
        """The attributes that can be copied and pickled, and whether the optimizer's rates are this scheduler's."""
        derived = ("_writer", "_rates", "_tensors")
        return {key: value for key, value in vars(self).items() if key not in derived} | {"in_force": self._in_force()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        in_force = state.pop("in_force")
        self.__dict__.update(state)
        self._bind()
        groups = self.optimizer.param_groups
        if self.relative:
            self._writer.bind(groups)
        if in_force:
            pairs = zip(groups, self._last_lr, strict=False)
            self._last_lr = [rate if torch.is_tensor(group["lr"]) else group["lr"] for group, rate in pairs]
            self._sign(groups[: len(self._last_lr)])
        track_steps(self.optimizer)  # a copied optimizer has lost torch's wrapper of its step, and our hooks
        self._follow_optimizer()


_on_optimizer: weakref.WeakKeyDictionary[Optimizer, weakref.WeakSet[TableLR]] = weakref.WeakKeyDictionary()
"""Every TableLR on an optimizer, so that an inactive one can see that another's values are in force."""
