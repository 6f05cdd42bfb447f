"""The positions that the workers of runs report."""

from __future__ import annotations

from service.concurrency.executors import Executors
from service.database.metadata import Metadata
from service.database.runs.progress import MOST_WORKERS, Reported, TooManyWorkersError
from service.database.runs.rows import Author, ProgressRow, RunName
from service.errors import LimitExceededError
from service.runs.feed import ChangeFeed
from service.runs.service import RunService


class ProgressService:
    """What workers report of their positions. An instance belongs to one event loop; blocking calls run in threads.

    Args:
        metadata: the database.
        runs: the runs.
        executors: the threads for blocking calls.
        feed: the feed of changes, which is told of what is forgotten.
    """

    def __init__(self, metadata: Metadata, runs: RunService, executors: Executors, feed: ChangeFeed) -> None:
        self._feed = feed
        self._records = metadata.progress
        self._runs = runs
        self._executors = executors

    async def report(self, name: RunName, worker: str, step: int, version: int | None) -> Reported:
        """Keep a worker's position; return the run as it is now, and the highest position of its workers.

        It does not count if the worker follows a version from before the newest rewind. Raises `RunNotFoundError`,
        `RunDeletedError`, and `LimitExceededError` for too many workers.
        """
        await self._runs.head(name)
        try:
            found = await self._executors.database(self._records.report, name, worker, step, version)
        except TooManyWorkersError as error:
            raise LimitExceededError(f"the run {name} has {MOST_WORKERS} workers, the most there may be") from error
        if found is None or found.run.deleted:
            await self._runs.current(name)  # raises, because what was known of the run was out of date
        assert found is not None
        return found

    async def forget(self, name: RunName, worker: str | None, author: Author) -> list[str]:
        """Forget what a worker of a run has reported, or all of them; return their names.

        Raises `RunNotFoundError` and `RunDeletedError`.
        """
        await self._runs.current(name)
        forgotten: list[str] = await self._executors.database(self._records.forget, name, worker, author)
        if forgotten:
            self._feed.announce()
        return forgotten

    async def reports(self, name: RunName) -> list[ProgressRow]:
        """Return the last report of every worker, by name. Raises `RunNotFoundError` and `RunDeletedError`."""
        await self._runs.head(name)
        found: list[ProgressRow] = await self._executors.database(self._records.reports, name)
        return found
