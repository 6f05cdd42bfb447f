"""The threads that keep the event loop free."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """One thread that computes tables, one that writes text, four that wait for the disk.

    One each for what keeps a core busy: two would share the interpreter's lock and finish later, both.
    """

    def __init__(self) -> None:
        self._compute = ThreadPoolExecutor(1, "compute")
        self._text = ThreadPoolExecutor(1, "text")
        self._disk = ThreadPoolExecutor(4, "disk")

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run arithmetic."""
        return await _run(self._compute, lambda: work(*args, **kwargs))

    async def disk(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what waits for the disk, or hashes what came from it."""
        return await _run(self._disk, lambda: work(*args, **kwargs))

    async def text(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what turns numbers into text, or large text into numbers."""
        return await _run(self._text, lambda: work(*args, **kwargs))

    async def blocks(self, blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Each block of a text, made in the thread when the last one is gone: texts take turns by the block."""
        while (block := await self.text(next, blocks, b"")) != b"":
            yield block

    def close(self) -> None:
        """Let work under way finish, and drop what has not begun."""
        for executor in (self._compute, self._text, self._disk):
            executor.shutdown(cancel_futures=True)


async def _run(executor: Executor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, work)
