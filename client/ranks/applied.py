"""Whether every rank really trains with the same rates: compared while training, every so many updates."""

from __future__ import annotations

import hashlib
import struct
from typing import Any, Self

from client.optimizer.hooks import with_hooks
from client.ranks.group import Group, group_of
from client.ranks.proof import check_equal, gather

_TIMEOUT = 300.0  # seconds to wait for the other ranks once a difference is known


class RateCheck:
    """Compares the rates in force on all ranks, bit by bit, before every so many updates of an optimizer.

    Made by `check_applied_rates`. It holds the process group and a hook of the optimizer: `close` lets both go.

    Attributes:
        updates: of the optimizer, since this check was made.
    """

    def __init__(self, optimizer: Any, ranks: Group, every: int) -> None:
        self.updates = 0
        self._groups_of = optimizer
        self._ranks = ranks
        self._every = every
        self._handles = [each.register_step_pre_hook(self._before_step) for each in with_hooks(optimizer)[:1]]

    def check(self) -> None:
        """Compare the rates now. Every rank calls this. Raises `RanksDisagreeError` where one differs.

        The message names the parameter group, and the ranks with each rate. Costs one reduction of two numbers.
        """
        rates = [float(group["lr"]) for group in self._groups_of.param_groups]
        bits = struct.pack(f"<{len(rates)}d", *rates)
        mark = int.from_bytes(hashlib.sha256(bits).digest()[:8], "little", signed=True)
        least, most = self._ranks.extremes([mark, len(rates)])
        if least == most:
            return
        everyone = gather(self._ranks, rates, timeout=_TIMEOUT)
        check_equal("in the number of parameter groups", [len(each) for each in everyone])
        for index, column in enumerate(zip(*everyone, strict=True)):
            check_equal(f"in the rate of parameter group {index}, in force for update {self.updates}", column, repr)

    def close(self) -> None:
        """Stop comparing."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _before_step(self, *_: object) -> None:
        if self.updates % self._every == 0:
            self.check()
        self.updates += 1


def check_applied_rates(optimizer: Any, every: int = 1000, *, group: object = None) -> RateCheck:
    """Compare the rates in force on all ranks before update 0, and then before every `every` updates.

    A difference of one bit in one group of one rank stops all ranks with `RanksDisagreeError`, before the update.

    Args:
        optimizer: of any kind that calls step hooks, or wraps one that does. Without any, call `check` in the loop.
        every: updates from one comparison to the next; 1 or more.
        group: the processes, as for `share_table`.
    """
    if type(every) is not int or every < 1:
        raise ValueError(f"every must be a whole number of updates from 1, got {every!r}")
    return RateCheck(optimizer, group_of(group), every)
