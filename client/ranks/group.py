"""A group: the processes of one job, and how they exchange bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Protocol, runtime_checkable

from client.ranks.environment import world_of_environment
from scheduler.hooks import Hook
from scheduler.texts import abbreviate


@runtime_checkable
class Group(Protocol):
    """The processes of one job. All of them make the same calls in the same order.

    Each call raises `RankTimeoutError` where some rank has not made it within `timeout` seconds, and
    `RankFailedError` where one was lost on the way.
    """

    @property
    def rank(self) -> int:
        """This process's number, from 0."""

    @property
    def size(self) -> int:
        """The number of processes."""

    def all_gather(self, data: bytes, *, timeout: float) -> list[bytes]:
        """The bytes that each rank gave, in the order of the ranks."""

    def broadcast(self, data: bytes | bytearray | None, *, source: int, timeout: float) -> memoryview:
        """The bytes that the rank `source` gave, read-only; what the others give is not looked at."""

    def extremes(self, values: Sequence[int]) -> tuple[list[int], list[int]]:
        """The least and the largest of each of the numbers (64 bits, as many on each rank), over all ranks.

        This is the cheap call for the training loop: one small reduction, within the group's own time-out.
        """


class Alone:
    """The group of a job of one process."""

    rank = 0
    size = 1

    def all_gather(self, data: bytes, *, timeout: float) -> list[bytes]:  # nobody to wait for
        # docstring inherited
        return [data]

    def broadcast(self, data: bytes | bytearray | None, *, source: int, timeout: float) -> memoryview:  # the same
        # docstring inherited
        return memoryview(data or b"")

    def extremes(self, values: Sequence[int]) -> tuple[list[int], list[int]]:
        # docstring inherited
        return [*values], [*values]


make_torch_group: Hook[[object], Group] = Hook("client.ranks.torch_group")
"""The group of a `torch.distributed` process group; None stands for all processes."""


def group_of(group: object) -> Group:
    """The group that a caller means.

    A `Group` is taken as it is, and a torch `ProcessGroup` wrapped. None means all processes of `torch.distributed`
    where that is initialised, and else this process alone. Raises `ValueError` where a launcher's environment says that
    there are others, because they could not be compared.
    """
    if isinstance(group, Group) and not _is_of_torch(group):
        return group
    if group is not None:
        if not _is_of_torch(group):
            raise TypeError(f"group must be a Group or a torch ProcessGroup, got {abbreviate(group)}")
        return make_torch_group(group)
    if _torch_is_initialised():
        return make_torch_group(None)
    world = world_of_environment()
    if world is not None and world.size > 1:
        raise ValueError(
            f"group must be given: this is rank {world.rank} of {world.size} processes, and torch.distributed is not "
            "initialised. Call init_process_group first, or give group=FileGroup(folder). Alone() compares nothing"
        )
    return Alone()


def _is_of_torch(group: object) -> bool:
    return type(group).__module__.partition(".")[0] == "torch"


def _torch_is_initialised() -> bool:
    distributed = sys.modules.get("torch.distributed")  # without it there is no process group either
    return distributed is not None and distributed.is_available() and bool(distributed.is_initialized())


def ranks_in_words(ranks: Iterable[int]) -> str:
    """Ranks as a text: `rank 2`, `ranks 0-3, 7`."""
    numbers = sorted(ranks)
    runs = [[*run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    ends = [(run[0][1], run[-1][1]) for run in runs]
    text = ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in ends)
    return f"rank {text}" if len(numbers) == 1 else f"ranks {text}"
