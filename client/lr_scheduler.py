"""A table as a torch scheduler."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Sequence
from typing import Any

try:
    import torch
except ModuleNotFoundError as error:
    raise ImportError("TableLR needs PyTorch: pip install 'lrtables[torch]'", name=error.name) from error
from torch.optim import Optimizer
from typing_extensions import override

from client.optimizer import messages
from client.optimizer.arguments import check_length, check_types, first_progress, units_per_update
from client.optimizer.binding import NewGroup, checked_names
from client.optimizer.following_scheduler import FollowingScheduler
from client.optimizer.groups import NO_RATES
from client.optimizer.hooks import on_load, renew_groups, track_steps
from client.optimizer.replacement import check_replacement
from client.optimizer.scheduler_state import SavedState, checked_progress
from client.optimizer.updates import MADE, NONE, Noted
from client.ranks.environment import is_first_rank
from scheduler import Schedule, Spec, Table
from scheduler.interop.group_fields import check_place
from scheduler.schedule import tabulate
from scheduler.views.difference import first_difference

_logger = logging.getLogger(__name__)


class TableLR(FollowingScheduler):
    """Writes a table's values into an optimizer: row k is in force during update k, whoever calls `step()`.

    The constructor writes row `start`; `step()`, called after `optimizer.step()`, writes the next. Rows count the
    updates that the optimizer really makes, which its step hooks show: a `step()` without an update since the last one
    moves nothing, as after an update that a `GradScaler` skipped, after a batch whose gradients are only accumulated,
    or for each further process where a trainer steps once per process. Where no `step()` came between two updates, the
    second begins with writing its row, and a `ScheduleWarning` says so, once. Until the first update each `step()` is a
    row. On the axis `epoch` each `step()` is an epoch, whatever the number of updates. A member of one of torch's
    composites, such as `SequentialLR`, moves as that says. So does one whose rates another writer has replaced.

    A column goes to the number of its name in every group: `lr`, `momentum`, `weight_decay`, `eps`; `beta1` and
    `beta2` are those of `betas` (see `scheduler.interop.group_fields`). `lr.0`, `lr.1` go to group 0 and 1. Rates
    are Python floats; where a group's rate is a tensor, that tensor is filled in place.

    Past the table's last row its `after` decides: `hold` keeps the last values (with a `ScheduleWarning`, once),
    `error` raises `PastEndError`, `release` writes nothing any more and leaves the rate to another scheduler. One step
    past the end is always silent, because trainers step once more after the last update.

    On the axes `sample` and `token` an update is `per_step` units. Without it, a `step()` cannot know the progress and
    raises `RuntimeError`: call `set_progress(n)` after each update, with the number of samples or tokens seen so far by
    all workers together.

    One value for all groups replaces what each had: where those differed, a `ScheduleWarning` says so, once. With
    `relative=True` the table holds factors, and each group gets its own value (`initial_lr`, as torch keeps it,
    `initial_weight_decay` and so on) times the table's: bit for bit what `LambdaLR` gives for the table as its
    function. A rate that is a tensor gets that product rounded once, where torch multiplies in its precision.

    A parameter group added later has the table's values from its first update on (from the next `step()` on where the
    optimizer's step is compiled); with values per group that update raises `ValueError`, unless `on_new_group` says
    what it gets.

    Loading the optimizer's state keeps this scheduler's row in force, because torch calls a hook then. An optimizer
    that is one by class alone is followed through what it wraps. Where nothing in it has hooks, load its state first:
    else the next update has the rate that was in that state, and the one after it the table's.

    Args:
        optimizer: the optimizer to drive: what `LambdaLR` takes.
        table: the values, or the schedule or spec that they are computed from here; a schedule's warnings are given.
            Raises `ValueError` where its columns do not fit the optimizer's groups, and where a hyperparameter is a
            tensor that cannot hold them, such as `torch.tensor(1)`.
        total_steps: updates that the training makes, for a schedule. It may be left out where the schedule states its
            length (`stated_steps`).
        start: progress to start from, in units of the table's axis; 0 or more.
        relative: whether the table's values are factors of each group's own. False says that one value for all groups
            is meant, and silences the warning.
        per_step: the samples or tokens of one update, by all workers together; for tables on those axes alone.
        last_epoch: as torch's schedulers take it: start at row `last_epoch + 1`. Raises `ValueError` where `start` says
            otherwise.
        allow_other_table: what `load_state_dict` takes, for trainers that call it themselves.
        groups: names of the groups (their entry `name`) that `lr.0`, `lr.1` and so on belong to, in whatever order the
            optimizer has them. Raises `ValueError` where one is missing or not named, listing both.
        on_new_group: what a group gets that is added later, or that has no columns of its own: "error"; "adopt", the
            columns for all groups, or else those of the last; the number or name of the group whose columns it gets.
            Without it, the columns for all groups, and an error where there are none.

    Updates are seen at `optimizer.step`, in compiled code too, and on whichever optimizer inside a wrapper has hooks. A
    fused optimizer under a `GradScaler` skips updates on its device: to know of it, its `found_inf` is read once an
    update, which waits for the device. Updates that no hook sees, as those of a replayed CUDA graph, are taken to be as
    many as the calls of `step()`.

    Warns with `ScheduleWarning`, once each: another writer has changed a rate since the last write, in any group; the
    optimizer was stepped and this scheduler never; groups with values of their own get one for all. The first `step()`
    after an update overwrites what another wrote, where the table's rate stays as it is, too.
    """

    _moves_itself: bool = False  # in torch's step(), called by our own
    _writes_again: bool = False  # after the optimizer's state is loaded

    def __init__(
        self,
        optimizer: Optimizer,
        table: Table | Schedule | Spec,
        total_steps: int | None = None,
        *,
        start: int = 0,
        relative: bool | None = None,
        per_step: int | None = None,
        last_epoch: int = -1,
        allow_other_table: bool | Table = False,
        groups: Sequence[str] | None = None,
        on_new_group: NewGroup = None,
    ) -> None:
        check_types(optimizer, table, relative, allow_other_table)
        check_length(table, total_steps)
        if isinstance(table, Schedule):
            table = tabulate(table, total_steps)
        elif isinstance(table, Spec):
            table.warn()
            table = table.table()
        self._hold(table)
        self.groups = None if groups is None else checked_names(groups, table)
        self.on_new_group = on_new_group
        self.relative = bool(relative)
        self.allow_other_table = allow_other_table
        self._start = first_progress(start, last_epoch, table.axis)
        self._per_step = units_per_update(per_step, table.axis)
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
        self._warn_of_own_values(optimizer.param_groups)
        self._stepped_before = getattr(optimizer, "_opt_called", False)  # then its flag says nothing about our time
        super().__init__(optimizer, self._start - 1)
        self._idle = True
        self._follow_optimizer()

    # -- moving -------------------------------------------------------------------------------------------------------

    def step(self, epoch: int | None = None) -> None:
        """Write the next row, after an update of the optimizer. Without an update since the last call, do nothing.

        That is so once an update was seen; until then, and where updates cannot be seen, each call is taken for one.
        `epoch`, deprecated by torch, moves there instead. Raises `RuntimeError` on the axes `sample` and `token`
        without `per_step`, and `PastEndError` past the end of a table whose `after` is `error`; never `TypeError`,
        which DeepSpeed would take for an invitation to call `step(batch_size)`.
        """
        updates, made = self._updates, False
        if epoch is None:
            progress = self.last_epoch + 1
            if updates.mark == MADE:
                made = True
                # most optimizers have one group, and a rate that stays as it is needs no look at the table
                if progress < self._run_end and progress >= self._run_start:
                    try:
                        [only] = self.optimizer.param_groups
                    except ValueError:
                        pass  # groups were added
                    else:
                        if only["lr"] is self._run_rate:
                            self.last_epoch = progress
                            self._step_count += 1
                            updates.mark = NONE
                            return
            elif self._waits():
                self._step_count += 1
                return
            if self._count == 1:
                try:
                    [only] = self.optimizer.param_groups
                    rate = self._rates[progress]
                except (ValueError, IndexError):
                    pass  # groups were added, or there is no such row
                else:
                    written = self._written
                    if only["lr"] is written:
                        self.last_epoch = progress
                        self._step_count += 1
                        if made:
                            updates.mark = NONE
                            updates.seen = True
                        if rate != written:
                            self._written = only["lr"] = rate
                            self._last_lr = [rate]
                        elif made and progress >= self._next_search:
                            self._find_run(progress)
                        return
            elif self._step_all(progress):
                if made:
                    updates.mark = NONE
                    updates.seen = True
                return
        elif updates.mark == MADE:
            made = True
        self._check_step(epoch)
        if epoch is None or not self._composite:  # torch before 2.9 steps to 0 at the milestones of a SequentialLR
            self._prepare(self.last_epoch + self._unit)
        self._moves_itself = True
        try:
            self._step_as_torch(epoch)
        finally:
            self._moves_itself = False
        if made or epoch is not None:
            updates.reset()
            updates.seen = updates.seen or made
        if not self._is_initial:
            self._use(self._rates_of_steps())

    def set_progress(self, n: int) -> None:
        """Write the row for progress `n`, counted in the table's axis from 0. Calling it again changes nothing.

        Raises `ValueError` for what is not a whole number, 0 or more.
        """
        progress = checked_progress(n)
        self._prepare(progress)
        self._go_to(progress)
        self._updates.reset()
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
        writer = self._writer.with_table(table)
        writer.bind(groups, self._writer.own_values(groups))
        # nothing can be refused from here on
        is_ours = self._in_force() or (self._released and self._is_untouched())
        self._hold(table)
        self._writer = writer
        self._warned.discard("end")
        if self._rates:
            self._use(self._rates_of_steps())
        if is_ours:
            self._apply(self._row(self.last_epoch))

    def check_replacement(self, table: Table, *, from_step: int | None = None) -> None:
        """Raise what `replace_table` would raise, and change nothing."""
        groups = self.optimizer.param_groups
        check_replacement(self.table, table, max(self.last_epoch, 0), from_step)
        self._writer.with_table(table).check(groups, self._writer.own_values(groups))

    def advance(self, *, stepped: bool = True) -> None:
        """`step()` where the optimizer has really stepped: a `GradScaler` skips updates, and those do not count."""
        if stepped:
            self.step()
        else:
            self._updates.forget_update()

    @override
    def get_lr(self) -> list[Any]:
        # torch calls it within our step(), if at all, and Ignite's handler from elsewhere, with this mark
        if getattr(self, "_get_lr_called_within_step", False) and not self._moves_itself:
            raise RuntimeError(messages.MOVED_BY_IGNITE)
        return super().get_lr()

    def _update_lr(self, epoch: int | None = None) -> None:
        # torch comes here from its own step(), from the constructor, and from SequentialLR at a milestone
        if not self._moves_itself:
            self._join_composite()
        unit = 1 if self._is_initial else self._unit
        self._go_to(self.last_epoch + unit if epoch is None else checked_progress(epoch, "epoch"))

    def _check_step(self, epoch: int | None) -> None:
        if self._idle and (self._is_initial or self._is_taken_back):
            self._join_composite()  # which makes the first step again, or has taken it back
        if epoch is not None:
            checked_progress(epoch, "epoch")
        elif self.table.axis not in ("step", "epoch") and self._per_step is None and not self._is_initial:
            raise RuntimeError(messages.unknown_progress(self.table.axis))

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
            updates=self._updates.noted if self._counts else Noted(),
        ).to_dict()

    def load_state_dict(self, state_dict: dict[str, Any], *, allow_other_table: bool | Table | None = None) -> None:
        """Take up a saved position and write its values, whether the optimizer's state is loaded before or after.

        The state names its table. Another one raises `DigestMismatchError`, unless `allow_other_table` says that the
        change is meant, here or in the constructor: the change and the jump of the rate are then logged, and where the
        old table itself is given, the first row in which they differ. Raises `ValueError`, naming field and value, for
        a state that is not one of a TableLR, that is damaged, or that has another axis, stride, number of groups or
        `relative`. Whatever raises, nothing has changed.

        Values that were not this scheduler's when the state was saved (it had released them, or its turn in a
        `SequentialLR` was over or still to come) are put back as they were, unless another TableLR's are there.
        """
        groups = self.optimizer.param_groups
        state = SavedState.parse(state_dict, len(groups))
        old = self.allow_other_table if allow_other_table is None else allow_other_table
        state.check_table(self.table, relative=self.relative, allowed=old)
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
        self._use(NO_RATES)
        self._updates.take_up(state.updates if self._counts else Noted())
        if row is not None:
            self._apply(row)
        else:
            self._leave_to_others(state.values)
        if state.digest != self.table.digest:
            where = f"; they differ from row {first_difference(old, self.table)}" if isinstance(old, Table) else ""
            level = logging.WARNING if is_first_rank() else logging.DEBUG
            _logger.log(level, "%s%s", messages.other_table(self.table, state, self._values("lr")), where)

    def _follow_optimizer(self) -> None:
        """See its updates, and write our values again where loading its state has replaced them."""
        weakref.finalize(self, on_load(self.optimizer, self._before_load, self._take_up_groups)).atexit = False
        self._share()
        self._watch_updates()

    def _before_load(self) -> None:
        self._writes_again = self._in_force()

    def _take_up_groups(self) -> None:
        """After the optimizer's state was loaded, which has replaced the groups."""
        renew_groups(self.optimizer)
        self._writer.unbind()
        self._use(NO_RATES)
        if self._writes_again:
            self._apply(self._row(self.last_epoch))

    def __getstate__(self) -> dict[str, Any]:
        """The attributes that can be copied and pickled, and whether the optimizer's rates are this scheduler's."""
        derived = ("_writer", "_rates", "_tensors", "_updates")
        noted = {"in_force": self._in_force(), "noted": self._updates.noted}
        return {key: value for key, value in vars(self).items() if key not in derived} | noted

    def __setstate__(self, state: dict[str, Any]) -> None:
        in_force, noted = state.pop("in_force"), state.pop("noted")
        self.__dict__.update(state)
        self._bind()
        self._updates.take_up(noted)
        groups = self.optimizer.param_groups
        if self.relative:
            self._writer.bind(groups)
        if in_force:
            pairs = zip(groups, self._last_lr, strict=False)
            self._last_lr = [rate if torch.is_tensor(group["lr"]) else group["lr"] for group, rate in pairs]
            self._sign(groups[: len(self._last_lr)])
        track_steps(self.optimizer)  # a copied optimizer has lost torch's wrapper of its step, and our hooks
        self._follow_optimizer()
