"""The updates that an optimizer really makes, seen through its step hooks, for a scheduler that follows them."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.compiler import is_compiling

from client.optimizer.hooks import has_hooks, leads_to_hooks, with_hooks, wrap_step
from client.optimizer.other_optimizers import OtherOptimizers

NONE, MADE, AHEAD = 0, 1, 2
"""What `Updates.mark` says: nothing since the scheduler moved; an update was made; steps came before any update."""

_BLIND_AFTER = 3  # steps of the scheduler between which weights changed, and no hook was called


@dataclass(frozen=True)
class Noted:
    """What of the updates is saved with a position.

    Attributes:
        made: whether the row at the position has been used by an update.
        seen: whether updates moved the scheduler, so that steps without one are not to.
        ahead: units by which the position is ahead of the updates, none of which had been seen.
    """

    made: bool = False
    seen: bool = False
    ahead: int = 0


class Updates:
    """Marks the updates of an optimizer, and asks the scheduler to catch up before one that follows an unused mark.

    The hooks do next to nothing, so that a compiled step contains them: it guards on `mark`, which is 0 whenever the
    scheduler was stepped after the last update. Weak references are followed outside of compiled code alone.

    Attributes:
        mark: `NONE`, `MADE` or `AHEAD`.
        seen: whether the scheduler has moved for an update that was seen.
        expected: whether updates were seen before this object was made, as a saved state says.
        ahead: units that the scheduler has moved before the first update was seen, and which it is to take back then.
        blind: updates are made that no hook sees, as those of a replayed CUDA graph.
        others: the optimizers that make updates before this one does.
    """

    def __init__(self) -> None:
        self.mark = NONE
        self.seen = False
        self.expected = False
        self.ahead = 0
        self.blind = False
        self.others = OtherOptimizers()
        self._had_gradients = False
        self._doubtful: bool | None = None  # whether the last update was the first one, with gradients of 0 alone
        self._passed = False  # another one has begun since, and no step() came before it
        self._catch_up: Callable[[], Callable[[int], None] | None] = _nothing
        self._take_in: Callable[[], Callable[[], bool] | None] = _nothing
        self._groups = 0  # those that the scheduler has written to
        self._is_ours: Callable[[], Callable[[], bool] | None] = _nothing
        self._leading: Callable[[], Any] = _nothing  # the parameter whose steps are counted
        self._other: Callable[[], Any] = _nothing  # the first that was stepped without it
        self._tensor_rate: Callable[[], Any] = _nothing
        self._weights = _Weights()
        self._removals: list[Callable[[], None]] = []

    def watch(
        self,
        optimizer: Any,
        catch_up: Callable[[int], None],
        take_in: Callable[[], bool],
        is_ours: Callable[[], bool],
    ) -> None:
        """Begin to watch.

        Args:
            optimizer: of any kind. Its own hooks are used, or those of the optimizers that it wraps; where there are
                none, or where its `step` is no method, calls of its `step` are watched.
            catch_up: a bound method, called before an update with the number of updates that were missed before.
            take_in: a bound method, called before an update of more parameter groups than before; whether it took the
                new ones in.
            is_ours: a bound method; whether the first group's rate is the one that the scheduler wrote.
        """
        self._catch_up, self._is_ours = weakref.WeakMethod(catch_up), weakref.WeakMethod(is_ours)
        self._take_in, self._groups = weakref.WeakMethod(take_in), len(optimizer.param_groups)
        self._had_gradients = _has_gradients(optimizer)
        inner = with_hooks(optimizer)
        for each in inner:
            first = each.register_step_pre_hook(self.before)
            # before those that were there: they are to see the rates that the update has
            first.hooks_dict_ref().move_to_end(first.id, last=False)
            self._removals += [first.remove, each.register_step_post_hook(self.after).remove]
        if not inner or (has_hooks(optimizer) and not leads_to_hooks(optimizer)):
            self._removals.append(wrap_step(optimizer, self.before, self.after))

    def close(self) -> None:
        """Stop watching."""
        for remove in self._removals:
            remove()
        self._removals = []
        self.others.close()
        self.reset()

    def reset(self) -> None:
        """Forget what was marked: the scheduler's position was set by other means."""
        self.seen = self.seen or self.mark == MADE
        self.mark, self.ahead = NONE, 0

    def look_at_next(self) -> None:
        """Call `take_in` before the next update, whatever its parameter groups."""
        self._groups = -1

    def forget_update(self) -> None:
        """Forget an update that was marked: it was none. What came before the first one is still to be taken back."""
        if self.mark == MADE:
            self.mark = NONE

    @property
    def noted(self) -> Noted:
        """What is to be saved."""
        return Noted(self.mark == MADE, self.seen or self.expected, self.ahead)

    def take_up(self, noted: Noted) -> None:
        """Go on from what was saved: no update was seen by this object yet."""
        self.seen, self.expected, self.ahead = False, noted.seen, noted.ahead
        self.mark = MADE if noted.made else AHEAD if noted.ahead else NONE

    # -- hooks --------------------------------------------------------------------------------------------------------

    def before(self, optimizer: Any, _args: Any = None, _kwargs: Any = None) -> None:
        """A step of the optimizer begins."""
        # compiled code would be guarded by each rate in the groups, and compiled once more for it
        if self.mark or (not is_compiling() and len(optimizer.param_groups) > self._groups):
            self._begin(optimizer)

    def after(self, optimizer: Any, _args: Any = None, _kwargs: Any = None) -> None:
        """A step of the optimizer has ended."""
        found = getattr(optimizer, "found_inf", None)  # a GradScaler's, for a fused optimizer, which skips by itself
        if found is not None and found.item():
            return
        if is_compiling():
            self.mark = MADE
        elif self._is_plain_update(optimizer) or self._is_update(optimizer):
            if self._doubtful is not False:
                self._doubt(optimizer)
            self.mark = MADE

    def _is_plain_update(self, optimizer: Any) -> bool:
        """What most updates are, found at little cost: of the parameter that leads, at a rate known to be no sham."""
        group = optimizer.param_groups[0]
        rate, parameters = group.get("lr"), group.get("params")
        if not parameters or parameters[0] is not self._leading() or parameters[0].is_cuda:
            return False
        self._other = _nothing
        return rate != 0.0 if type(rate) is float else rate is self._tensor_rate()

    def _begin(self, optimizer: Any) -> None:
        if len(optimizer.param_groups) > self._groups:
            take_in = self._take_in()
            if take_in is not None and take_in():
                self._groups = len(optimizer.param_groups)
        if not self.mark:
            return
        if self._doubtful:
            self._passed = True
            return
        if self._is_fake(optimizer):
            return
        missed = 0
        first, leading = _first_parameter(optimizer), self._leading()
        if first is not None and leading is not None and first is not leading:
            if self._other() is not first:
                return  # another part of the update that was marked
            self._leading, missed = weakref.ref(first), 1  # it is stepped again and again, the leading one no more
        if (catch_up := self._catch_up()) is not None:
            catch_up(missed)

    def _doubt(self, optimizer: Any) -> None:
        """See whether the first update is one: DeepSpeed makes the state for bf16 by a step with gradients of 0.

        A step() of the scheduler after it says that it is; and without DeepSpeed there is nothing to doubt.
        """
        if self._doubtful is None:
            self.others.close()
            self._doubtful = "deepspeed" in sys.modules and _has_gradients_of_zero(optimizer)
        elif self._passed or self.mark == NONE:
            self._doubtful = self._passed = False

    def _is_update(self, optimizer: Any) -> bool:
        """Whether a step that was just made is an update, and the first part of it."""
        if self._is_fake(optimizer):
            return False
        first = _first_parameter(optimizer)
        if first is None:
            return True
        if first.is_cuda and torch.cuda.is_current_stream_capturing():
            self.blind = True  # a capture computes nothing, and no hook sees the replays
            return False
        leading = self._leading()
        if leading is first or leading is None or self.mark == NONE:
            if leading is not first:
                self._leading = weakref.ref(first)
            self._other = _nothing
            return True
        if self._other() is None:
            self._other = weakref.ref(first)
        return False

    def _is_fake(self, optimizer: Any) -> bool:
        """Whether all rates are 0 and not the scheduler's: a step that only makes the optimizer's state.

        `torch.distributed.checkpoint` makes one.
        """
        groups = optimizer.param_groups
        rate = groups[0].get("lr") if groups else None
        if type(rate) is float and rate != 0.0:
            return False
        is_ours = self._is_ours()
        if is_ours is None or is_ours():
            if torch.is_tensor(rate):
                self._tensor_rate = weakref.ref(rate)  # a step that is no update has a rate of its own
            return False
        return all(_is_zero(group.get("lr")) for group in groups)

    # -- where no update was seen -------------------------------------------------------------------------------------

    def gradients_came(self, optimizer: Any) -> bool:
        """Whether there are gradients now, and were none when watching began: training has begun."""
        return not self._had_gradients and _has_gradients(optimizer)

    def goes_unseen(self, optimizer: Any, position: int) -> bool:
        """Whether weights keep changing while no hook is called, so that updates may be made that none sees.

        Called at each step of the scheduler that follows no update. The weights of three such steps on end differ.
        """
        return self._weights.changes(_first_parameter(optimizer), position) + 1 >= _BLIND_AFTER

    def is_stepped_too_often(self, optimizer: Any) -> bool:
        """Whether weights that changed between two steps of the scheduler have not changed since the last."""
        return self._weights.stand_still(_first_parameter(optimizer))


class _Weights:
    """Whether the leading parameter was written to between two looks at it: each write in place counts its version."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._position: int | None = None
        self._changes = 0

    def changes(self, parameter: Any, position: int) -> int:
        """How often on end it changed from one look at this position to the next."""
        before, self._version = self._version, _version_of(parameter)
        if position != self._position or before is None or before == self._version:
            self._changes = 0
        else:
            self._changes += 1
        self._position = position
        return self._changes

    def stand_still(self, parameter: Any) -> bool:
        """Whether it is as at the last look, having changed before."""
        before, self._version = self._version, _version_of(parameter)
        if before is not None and before != self._version:
            self._changes += 1
        return before is not None and before == self._version and self._changes > 0


def _nothing() -> None:
    return None


def _first_parameter(optimizer: Any) -> Any:
    return next((group["params"][0] for group in optimizer.param_groups if group.get("params")), None)


def _has_gradients(optimizer: Any) -> bool:
    parameters = (each for group in optimizer.param_groups for each in group.get("params", ()))
    return any(getattr(each, "grad", None) is not None for each in parameters)


def _has_gradients_of_zero(optimizer: Any) -> bool:
    """Whether there are gradients, and all are 0. Sharded and sparse ones count as others, without a look."""
    parameters = (each for group in optimizer.param_groups for each in group.get("params", ()))
    gradients = [grad for each in parameters if (grad := getattr(each, "grad", None)) is not None]
    return (
        bool(gradients)
        and all(type(grad) is torch.Tensor and not grad.is_sparse for grad in gradients)
        and not any(bool(grad.any()) for grad in gradients)
    )


def _version_of(parameter: Any) -> int | None:
    if not torch.is_tensor(parameter) or parameter.is_inference():
        return None
    return parameter._version


def _is_zero(rate: Any) -> bool:
    if torch.is_tensor(rate):
        return rate.device.type == "cpu" and float(rate) == 0.0
    return bool(rate == 0.0)
