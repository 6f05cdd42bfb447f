"""A scheduler that follows its optimizer's updates: row k is in force during update k, whoever steps it."""

from __future__ import annotations

import weakref

from typing_extensions import override

from client.optimizer import messages
from client.optimizer.row_scheduler import RowScheduler
from client.optimizer.updates import AHEAD, MADE, Updates


class FollowingScheduler(RowScheduler):
    """Knows whether a `step()` is to move, and writes the next row itself where no `step()` came between two updates.

    In torch's composites, and where the rates in force are another writer's, it leaves all to torch's protocol.
    """

    _per_step: int | None = None
    _composite: bool = False  # a member of one of torch's, whose protocol alone counts

    def _bind(self) -> None:
        super()._bind()
        self._updates = Updates()

    @property
    def per_step(self) -> int | None:
        """The samples or tokens of one update, where they were given."""
        return self._per_step

    @property
    def _unit(self) -> int:
        """Units of progress that an update is."""
        return 1 if self._per_step is None else self._per_step

    @property
    def _counts(self) -> bool:
        """Whether updates move this scheduler. On the axis `epoch` each step() does."""
        follows = self.table.axis == "step" or self._per_step is not None
        return follows and not self._composite and not self._is_taken_back

    @property
    def _is_taken_back(self) -> bool:
        """Whether a SequentialLR has taken back the first step, or all but it: the turn is to come."""
        return self.last_epoch < 0 or (self._idle and self.last_epoch != self._start)

    def _join_composite(self) -> None:
        self._composite = True
        self._updates.close()

    def _waits(self) -> bool:
        """Whether a step() that no update came before is to move nothing."""
        updates, optimizer = self._updates, self.optimizer
        if self._is_initial or not self._counts:
            return False
        if updates.blind or not updates.seen:
            return self._moves_unseen()
        if not self._keeps_rates():
            return False  # another's turn: torch's protocol alone
        if updates.goes_unseen(optimizer, self.last_epoch):
            self._warn("unseen", messages.UNSEEN)
        return True

    def _moves_unseen(self) -> bool:
        """Where no update was seen: move as torch says, and note what is to be taken back when one is seen."""
        updates = self._updates
        if (other := updates.others.find(self.optimizer)) is not None:
            self._warn("elsewhere", messages.other_optimizer(type(other).__name__))
        if updates.is_stepped_too_often(self.optimizer):
            self._warn("often", messages.TOO_OFTEN)
        if updates.blind or not (updates.expected or updates.gradients_came(self.optimizer)):
            return False
        if self.last_epoch + self._unit > self._end:
            return True
        updates.mark = AHEAD
        updates.ahead += self._unit
        return False

    def _catch_up(self, missed: int) -> None:
        """Before an update that follows one without a step(): write its row.

        `missed`: the number of updates that were not marked. Before the first update, take back what came too early.
        """
        updates, groups = self._updates, self.optimizer.param_groups
        if len(groups) < len(self._last_lr) or not self._keeps_rates():
            return  # another's turn, or groups that are stepped one by one
        if updates.mark == AHEAD:
            self._go_to(self.last_epoch - updates.ahead)
            updates.reset()
            return
        progress = self.last_epoch + self._unit * (1 + missed)
        self._prepare(progress)
        self._go_to(progress)
        updates.reset()
        updates.seen = True
        self._warn("unfollowed", messages.unfollowed(self.table.axis))

    def _take_in_groups(self) -> bool:
        """Before an update: write the row in force into groups that were added, and say whether that is done.

        Raises `ValueError` where the table has nothing for them.
        """
        if not self._keeps_rates():
            return False  # another's turn
        if self.last_epoch >= self._end and self.table.after == "hold":
            self._warn("end", messages.past_end(self.table, self.last_epoch))
        self._prepare(self.last_epoch)
        self._apply(self._row(self.last_epoch))
        return True

    @override
    def _prepare(self, progress: int) -> None:
        super()._prepare(progress)
        if progress >= self._end and self.table.after == "hold":
            self._updates.look_at_next()  # which is past the end: to be told before it is made, and not after

    @override
    def _may_be_late(self) -> bool:
        return not self._counts or self._updates.mark != MADE  # before a second one the row would have moved

    def _watch_updates(self) -> None:
        if self._counts:
            self._updates.watch(self.optimizer, self._catch_up, self._take_in_groups, self._leads)
            weakref.finalize(self, self._updates.close).atexit = False
