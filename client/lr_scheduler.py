"""A table as a torch scheduler. The only module of the client that imports torch."""

from __future__ import annotations

import logging
import math
import numbers
import warnings
import weakref
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from client.errors import DigestMismatchError
from client.groups import RowWriter, put, read
from scheduler import PastEndError, ScheduleWarning, Table
from scheduler.progress import MAX_PROGRESS, progress_index

_STEPPED = ("step", "epoch")  # axes on which one call of step() is one unit of progress
_STATE = frozenset({"last_epoch", "_step_count", "_last_lr", "others", "in_force", "digest", "axis", "stride"})
_NO_RATES: memoryview[float] = memoryview(b"").cast("d")

_logger = logging.getLogger(__name__)


class TableLR(LRScheduler):
    """Writes a table's values into an optimizer: row k is in force during update k.

    The constructor writes row `start`; each `step()`, called after `optimizer.step()`, writes the next. `lr` goes to
    every group's `lr`; `momentum`, `weight_decay` and `beta1` (the first of `betas`) go to theirs; `lr.0`, `lr.1` go to
    group 0 and 1. Rates are Python floats; where a group's rate is a tensor, that tensor is filled in place.

    Past the table's last row its `after` decides: `hold` keeps the last values (with a `ScheduleWarning`, once),
    `error` raises `PastEndError`, `release` writes nothing any more and leaves the rate to another scheduler. One step
    past the end is always silent, because trainers step once more after the last update.

    On the axes `sample` and `token` a bare `step()` cannot know the progress and raises `RuntimeError`: call
    `set_progress(n)` after each update, with the number of samples or tokens seen so far by all workers together.

    A parameter group added later gets the table's values at the next step; with values per group it is an error.

    Args:
        optimizer: the optimizer to drive.
        table: the values. Raises `ValueError` where its columns do not fit the optimizer's groups.
        start: progress to start from, in units of the table's axis; 0 or more.

    Warns with `ScheduleWarning`, once each: another writer has changed the rate since the last write; the optimizer was
    stepped and this scheduler never.
    """

    table: Table
    _start: int = 0
    _idle: bool = False  # made, and not moved since
    _written: float | None = None  # the object last written as the first group's rate; None: the rate is another's
    _writes_again: bool = False  # after the optimizer's state is loaded

    def __init__(self, optimizer: Optimizer, table: Table, *, start: int = 0) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be a torch optimizer, got {optimizer!r}")
        if not isinstance(table, Table):
            raise TypeError(f"table must be a Table, got {table!r}")
        self.table = table
        self._start = _progress(start)
        self._warned: set[str] = set()
        self._bind()
        self._writer.check(optimizer.param_groups)
        for group in optimizer.param_groups:  # torch demands it where it is told to start elsewhere than at 0
            group.setdefault("initial_lr", torch.clone(rate) if torch.is_tensor(rate := group["lr"]) else rate)
        if not hasattr(optimizer.step, "__func__"):
            _track_steps(optimizer)
        stepped_before = getattr(optimizer, "_opt_called", False)  # then its flag will say nothing about our time
        super().__init__(optimizer, self._start - 1)
        self._follow_optimizer()
        self._idle = not stepped_before

    def _bind(self) -> None:
        """Set up what is derived from the table, and cannot be copied or pickled."""
        self._writer = RowWriter(self.table)
        self._rates = _NO_RATES  # filled at the first real step: until then torch's own checks are wanted

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
        self._warn_about(self.last_epoch + 1)
        super().step(epoch)
        if not self._is_initial:
            self._rates = self._rates_of_steps()

    def set_progress(self, n: int) -> None:
        """Write the row for progress `n`, counted in the table's axis from 0. Calling it again changes nothing.

        Raises `ValueError` for what is not a whole number, 0 or more.
        """
        progress = _progress(n)
        self._warn_about(progress)
        self._go_to(progress)
        self._step_count = max(self._step_count, 2)  # as after a step: this scheduler is in use

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
        self._go_to(self.last_epoch + 1 if epoch is None else _progress(epoch))

    def _go_to(self, progress: int) -> None:
        row = self._row(progress)
        self.last_epoch = progress
        self._idle = self._idle and self._is_initial
        self._apply(row)

    def _row(self, progress: int) -> int | None:
        """The table's row for a progress; None where the table has released the rate."""
        row = progress // self.table.stride
        last = self.table.total_steps - 1
        if row <= last:
            return row
        if self.table.after == "error" and row > last + 1:
            raise PastEndError(f"{self.table.axis} {progress} is past the table's end, {self._end}")
        return None if self.table.after == "release" else last

    def _apply(self, row: int | None) -> None:
        groups = self.optimizer.param_groups
        if row is None:
            self._last_lr = [float(group["lr"]) for group in groups]
            self._written = None
        else:
            written = self._writer.write(groups, row)
            self._last_lr = [*written]
            self._written = written[0]

    def _rates_of_steps(self) -> memoryview[float]:
        """The rates by step where each step is a row of rates for all groups: what the short way needs. Else empty."""
        plain = self.table.columns.keys() == {"lr"} and self.table.stride == 1 and self.table.axis in _STEPPED
        return self.table.lr.data if plain else _NO_RATES  # type: ignore[return-value]  # format 'd': gives floats

    @property
    def _end(self) -> int:
        return self.table.total_steps * self.table.stride

    # -- watching -----------------------------------------------------------------------------------------------------

    def _check_step(self, epoch: int | None) -> None:
        if epoch is not None:
            _progress(epoch)
        elif self.table.axis not in _STEPPED and not self._is_initial:
            raise RuntimeError(
                f"the table counts {self.table.axis}s, and step() cannot know how many there were: "
                f"call set_progress(n) with the number of {self.table.axis}s so far"
            )

    def _warn_about(self, progress: int) -> None:
        if self._is_initial:
            return
        if self._overwritten():
            self._warn(
                "writer",
                "another writer changed the learning rate since this TableLR's last write, which it undoes now: "
                "two schedulers on one optimizer? A table with after='release' hands over to the next one at its end",
            )
        if progress > self._end and self.table.after == "hold":
            self._warn(
                "end",
                f"{self.table.axis} {progress} is past the table's end, {self._end}: its last values are held. "
                "Fetch a table as long as the training",
            )

    def _warn(self, what: str, message: str) -> None:
        """Warn of each thing once, at the line that called step() or set_progress()."""
        if what not in self._warned:
            self._warned.add(what)
            warnings.warn(message, ScheduleWarning, stacklevel=4)

    def _overwritten(self) -> bool:
        """Whether a rate in the optimizer is another than this scheduler wrote."""
        pairs = zip(self.optimizer.param_groups, self._last_lr, strict=False)  # groups added since were not written
        return self._written is not None and any(not _same(group["lr"], float(rate)) for group, rate in pairs)

    def _in_force(self) -> bool:
        """Whether the rate in the optimizer is the very one that this scheduler wrote, not only as large as that."""
        rate = self.optimizer.param_groups[0]["lr"]
        if self._written is None or self.last_epoch < 0:  # SequentialLR takes back those whose turn is to come
            return False
        return _same(rate, self._written) if torch.is_tensor(rate) else rate is self._written

    def __del__(self) -> None:
        stuck = self._idle and self.last_epoch == self._start  # a step less where SequentialLR has taken it back
        if stuck and getattr(self.optimizer, "_opt_called", False):
            warnings.warn(
                "this TableLR was never stepped, though its optimizer was: every update used "
                f"row {self._start}. Call scheduler.step() after optimizer.step()",
                ScheduleWarning,
                stacklevel=2,
            )

    # -- saving and resuming ------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers and text: the position, the table's digest, and the values in force in the optimizer."""
        return {
            "last_epoch": self.last_epoch,
            "_step_count": self._step_count,
            "_last_lr": self._values("lr"),
            "others": {name: self._values(name) for name in self._writer.names if name != "lr"},
            "in_force": self._in_force(),
            "digest": self.table.digest,
            "axis": self.table.axis,
            "stride": self.table.stride,
        }

    def load_state_dict(self, state_dict: dict[str, Any], *, allow_other_table: bool | Table = False) -> None:
        """Take up a saved position and write its values, whether the optimizer's state is loaded before or after.

        The state names its table. Another one raises `DigestMismatchError`, unless `allow_other_table` says that the
        change is meant: the change and the jump of the rate are then logged, and where the old table itself is given,
        the first row in which they differ. Raises `ValueError` for a state that is not one of a TableLR, or that has
        another axis or stride. Values that were not this scheduler's when the state was saved (it had released them, or
        its turn in a `SequentialLR` was over or still to come) are put back as they were.
        """
        self._check_state(state_dict, allow_other_table)
        self._step_count = state_dict["_step_count"]
        self._rates = self._rates_of_steps()
        if state_dict["in_force"]:
            self._go_to(state_dict["last_epoch"])
        else:
            self.last_epoch = state_dict["last_epoch"]
            self._put_back({"lr": state_dict["_last_lr"], **state_dict["others"]})

    def _values(self, name: str) -> list[float]:
        return [float(read(group, name)) for group in self.optimizer.param_groups]

    def _put_back(self, values: dict[str, list[float]]) -> None:
        for name, column in values.items():
            for group, value in zip(self.optimizer.param_groups, column, strict=True):
                put(group, name, value)
        self._last_lr = [*values["lr"]]
        self._written = None

    def _check_state(self, state: dict[str, Any], allow_other_table: bool | Table) -> None:
        if missing := _STATE - state.keys():
            raise ValueError(f"this is not the state of a TableLR: it has no {', '.join(sorted(missing))}")
        if state["digest"] != self.table.digest:
            self._check_other_table(state, allow_other_table)
        groups = len(self.optimizer.param_groups)
        if not state["in_force"] and len(state["_last_lr"]) != groups:
            raise ValueError(f"the state is of {len(state['_last_lr'])} parameter groups, the optimizer has {groups}")

    def _check_other_table(self, state: dict[str, Any], allowed: bool | Table) -> None:
        old, new = state["digest"], self.table.digest
        if allowed is False:
            raise DigestMismatchError(
                f"the state was saved with table {old}, and this scheduler has table {new}: get the old one by its "
                "digest, or say allow_other_table=True to go on with the new one"
            )
        if (state["axis"], state["stride"]) != (self.table.axis, self.table.stride):
            raise ValueError(
                f"the state counts {state['axis']}s by {state['stride']}, the table {self.table.axis}s by "
                f"{self.table.stride}: a position in one means nothing in the other"
            )
        if isinstance(allowed, Table) and allowed.digest != old:
            raise DigestMismatchError(
                f"the state was saved with table {old}, and the old table given is {allowed.digest}"
            )
        self._log_other_table(state, allowed)

    def _log_other_table(self, state: dict[str, Any], allowed: bool | Table) -> None:
        position = state["last_epoch"]
        row = self._row(position)
        rates = state["_last_lr"] if row is None else self._writer.rates(self.optimizer.param_groups, row)
        jumps = ", ".join(f"{before} -> {after}" for before, after in zip(state["_last_lr"], rates, strict=False))
        where = f"; they differ from row {_first_difference(allowed, self.table)}" if isinstance(allowed, Table) else ""
        _logger.warning(
            "another table from %s %d on: %s instead of %s, lr %s%s",
            self.table.axis, position, self.table.digest, state["digest"], jumps, where,
        )  # fmt: skip

    def _follow_optimizer(self) -> None:
        """Write our values again where loading the optimizer's state has replaced them."""
        me = weakref.ref(self)  # an optimizer outlives its schedulers, and must not keep them

        def before(_optimizer: Optimizer, _state: dict[str, Any]) -> None:
            if (scheduler := me()) is not None:
                scheduler._writes_again = scheduler._in_force()

        def after(_optimizer: Optimizer) -> None:
            if (scheduler := me()) is not None and scheduler._writes_again:
                scheduler._writer.check(scheduler.optimizer.param_groups)
                scheduler._apply(scheduler._row(scheduler.last_epoch))

        optimizer = _innermost(self.optimizer)
        optimizer.register_load_state_dict_pre_hook(before)
        optimizer.register_load_state_dict_post_hook(after)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_writer", "_rates")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bind()
        _track_steps(self.optimizer)  # a copied optimizer has lost torch's wrapper of its step, and our hooks
        self._follow_optimizer()


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """Write one learning rate into every parameter group: for the plain loop, `set_lr(optimizer, table.get_lr(step))`.

    A group's rate that is a tensor is filled in place, any other becomes a Python float. Raises `TypeError` for what is
    not a number, `ValueError` for a rate that is negative, infinite or NaN.
    """
    if type(lr) is not float:
        lr = _number(lr)
    if not 0.0 <= lr < math.inf:
        raise ValueError(f"lr must be finite and >= 0, got {lr!r}")
    filled: set[int] = set()
    for group in optimizer.param_groups:
        if type(group["lr"]) is float:
            group["lr"] = lr
        else:
            put(group, "lr", lr, filled)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"lr must be a number, got {value!r}")
    return float(value)


def _progress(value: object) -> int:
    """A position as an int; `ValueError` for all else, because a TypeError from step() would be misread."""
    try:
        return progress_index(value)
    except (TypeError, ValueError):
        message = f"progress must be a whole number >= 0 and at most {MAX_PROGRESS}, got {value!r}"
        raise ValueError(message) from None


def _same(current: Any, rate: float) -> bool:
    """Whether a group's rate is still the one written, which a tensor holds in its own precision."""
    if not torch.is_tensor(current):
        return bool(current == rate)
    if current.device.type != "cpu":
        return True  # reading it would make every step wait for the device
    precision = torch.finfo(current.dtype)
    return math.isclose(current.item(), rate, rel_tol=precision.eps, abs_tol=precision.tiny)


def _first_difference(old: Table, new: Table) -> int:
    """The first row in which two tables differ; the length of the shorter where only their lengths do."""
    if old.columns.keys() != new.columns.keys():
        return 0
    rows = min(old.total_steps, new.total_steps)
    differs = [old.columns[name][:rows] != new.columns[name][:rows] for name in old.columns]
    return min((int(np.argmax(each)) for each in differs if each.any()), default=rows)


def _track_steps(optimizer: Optimizer) -> None:
    """Let torch see the calls of an `optimizer.step` that is not a method it can wrap, such as a compiled one."""
    step: Any = optimizer.step
    if hasattr(step, "_wrapped_by_lr_sched"):
        return
    me = weakref.ref(optimizer)

    def tracked(*args: Any, **kwargs: Any) -> Any:
        stepped: Any = me()
        stepped._opt_called = True
        return step(*args, **kwargs)

    tracked._wrapped_by_lr_sched = True  # type: ignore[attr-defined]  # by this mark torch knows a tracked step
    optimizer.step = tracked  # type: ignore[method-assign]  # as torch does


def _innermost(optimizer: Any) -> Any:
    """The optimizer that keeps the hooks: wrappers such as Accelerate's are optimizers by class alone."""
    while "_optimizer_load_state_dict_post_hooks" not in vars(optimizer):
        optimizer = optimizer.optimizer
    return optimizer
