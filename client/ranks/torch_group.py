"""A group of processes that exchange bytes through torch.distributed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from datetime import timedelta
from functools import partial
from threading import Thread
from typing import Any

import torch
import torch.distributed as dist

from client.errors import RankFailedError, RankTimeoutError
from client.ranks.group import make_torch_group, ranks_in_words

_KEY = "lrtables"
_GRACE = 5.0  # seconds more than the time-out, for the store to say which ranks are missing
_NAMED = 256  # in a larger group only rank 0 asks the store who is missing: all would ask for all


class TorchGroup:
    """The processes of a torch process group: gloo, NCCL or another backend.

    Before an exchange the ranks meet in the group's store, with a time-out that is not the group's: so a rank that has
    died or is late is named, where a collective would only hang. It holds the process group: let it go before
    `destroy_process_group`.

    Args:
        group: the process group; None for the one of all processes.
    """

    def __init__(self, group: Any = None) -> None:
        world: Any = dist.group.WORLD
        self._group = world if group is None else group
        self._store = self._group.get_group_store()
        self._device = _device(self._group)
        self.rank = dist.get_rank(self._group)
        self.size = dist.get_world_size(self._group)

    def all_gather(self, data: bytes, *, timeout: float) -> list[bytes]:
        # docstring inherited
        self._meet(timeout)
        try:
            lengths = [int(length) for length in self._gathered(torch.tensor([len(data)]))]
            mine = torch.zeros(max(*lengths, 1), dtype=torch.uint8)
            mine[: len(data)] = _tensor(data)
            gathered = self._gathered(mine)
        except RuntimeError as error:
            raise _lost(error) from error
        return [bytes(each.numpy()[:length]) for each, length in zip(gathered, lengths, strict=True)]

    def broadcast(self, data: bytes | bytearray | None, *, source: int, timeout: float) -> memoryview:
        # docstring inherited
        mine = _tensor(data or b"") if self.rank == source else None
        self._meet(timeout)
        try:
            length = torch.tensor([0 if mine is None else len(mine)], device=self._device)
            dist.broadcast(length, group=self._group, group_src=source)
            size = int(length.item())
            content = torch.empty(size, dtype=torch.uint8) if mine is None else mine
            content = content.to(self._device)
            if size:
                dist.broadcast(content, group=self._group, group_src=source)
        except RuntimeError as error:
            raise _lost(error) from error
        return memoryview(content.cpu().numpy()).toreadonly()  # type: ignore[arg-type]  # an array has a buffer

    def extremes(self, values: Sequence[int]) -> tuple[list[int], list[int]]:
        # docstring inherited
        numbers = torch.tensor([*values, *(~value for value in values)], dtype=torch.int64, device=self._device)
        try:
            dist.all_reduce(numbers, op=dist.ReduceOp.MIN, group=self._group)
            least = numbers.tolist()
        except RuntimeError as error:
            raise _lost(error) from error
        return least[: len(values)], [~value for value in least[len(values) :]]

    def _gathered(self, mine: torch.Tensor) -> list[torch.Tensor]:
        mine = mine.to(self._device)
        rows = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(rows, mine, group=self._group)
        return [row.cpu() for row in rows]

    def _meet(self, timeout: float) -> None:
        """Wait until every rank has come here as often as this one.

        A thread of its own asks the store: a store that is frozen or cut off never answers, `add` has no time-out, and
        `wait` has none either once its time is up, when it tells the store so.
        """
        met: Future[None] = Future()
        Thread(target=_fulfil, args=(met, partial(self._meet_in_store, timeout)), daemon=True).start()
        if not wait([met], timeout + _GRACE).done:
            raise RankTimeoutError(
                f"the store of the process group has not answered rank {self.rank} of {self.size} within {timeout:g} "
                "s: as a rule rank 0, or the launcher, has it. Is that process stopped, or cut off?"
            )
        met.result()

    def _meet_in_store(self, timeout: float) -> None:
        try:
            number = self._store.add(f"{_KEY}/{self.rank}", 1)
            met = f"{_KEY}/met/{number}"
            if self._store.add(f"{_KEY}/meeting/{number}", 1) == self.size:
                for past in (f"{_KEY}/met/{number - 1}", f"{_KEY}/meeting/{number - 1}"):  # nobody waits there now
                    self._store.delete_key(past)
                self._store.set(met, "")
            else:
                self._store.wait([met], timedelta(seconds=timeout))
        except dist.DistNetworkError as error:
            raise RankFailedError(
                "the store of the process group cannot be reached any more. As a rule rank 0, or the launcher, has it: "
                f"has that process ended? ({_first_line(error)})"
            ) from error
        except RuntimeError as error:
            raise RankTimeoutError(
                f"{self._missing(number)} did not come within {timeout:g} s: rank {self.rank} of {self.size} gives up"
            ) from error

    def _missing(self, number: int) -> str:
        """The ranks that have not come to a meeting, in words."""
        if self.size > _NAMED and self.rank:
            return "ranks that rank 0 names"
        came = [self._store.add(f"{_KEY}/{rank}", 0) for rank in range(self.size)]
        return ranks_in_words(rank for rank, times in enumerate(came) if times < number)


def _device(group: Any) -> torch.device:
    """Where a group's tensors must be: on the CPU if its backends can, else on this process's accelerator."""
    devices = [pair.partition(":")[0] for pair in dist.get_backend_config(group).split(",")]
    if "cpu" in devices:
        return torch.device("cpu")
    return torch.device(devices[0], torch.accelerator.current_device_index())


def _fulfil(future: Future[None], call: Callable[[], None]) -> None:
    """Make the call, and put its outcome into the future."""
    try:
        call()
    except BaseException as error:  # raised where the future's result is asked for
        future.set_exception(error)
    else:
        future.set_result(None)


def _tensor(data: bytes | bytearray) -> torch.Tensor:
    """A tensor of these bytes, which shares the memory of a bytearray: it is not written to."""
    if not data:
        return torch.empty(0, dtype=torch.uint8)
    return torch.frombuffer(data if isinstance(data, bytearray) else bytearray(data), dtype=torch.uint8)


def _lost(error: RuntimeError) -> RankFailedError:
    return RankFailedError(f"a rank was lost during an exchange: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


make_torch_group.provide(TorchGroup)
