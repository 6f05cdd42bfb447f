"""The positions that the workers of runs report."""

from __future__ import annotations

from service.concurrency.executors import Executors
from service.database.metadata import Metadata
from service.database.runs.progress import MOST_WORKERS, TooManyWorkersError
from service.database.runs.rows import ProgressRow, RunHead, RunName
from service.errors import LimitExceededError
from service.runs.service import RunService


class ProgressService:
    """What workers report of their positions. An instance belongs to one event loop; blocking calls run in threads.

    Args:
        metadata: the database.
        runs: the runs.
        executors: the threads for blocking calls.
    """

    def __init__(self, metadata: Metadata, runs: RunService, executors: Executors) -> None:
        self._records = metadata.progress
        self._runs = runs
        self._executors = executors

    async def report(self, name: RunName, worker: str, step: int) -> tuple[RunHead, int]:
        """Keep a worker's position; return the run, at most 2 seconds old, and the highest position of its workers.

        Raises `RunNotFoundError`, `RunDeletedError`, and `LimitExceededError` for too many workers.
        """
        served = await self._runs.head(name)
        assert served.head is not None
        try:
            highest = await self._executors.database(self._records.report, name, worker, step)
        except TooManyWorkersError as error:
            raise LimitExceededError(f"the run {name} has {MOST_WORKERS} workers, the most there may be") from error
        return served.head, highest

    async def reports(self, name: RunName) -> list[ProgressRow]:
        """Return the last report of every worker, by name. Raises `RunNotFoundError` and `RunDeletedError`."""
        await self._runs.head(name)
        found: list[ProgressRow] = await self._executors.database(self._records.reports, name)
        return found
