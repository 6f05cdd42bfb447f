"""The background thread of rank 0: it asks for the newest version of a run, gets its table, and reports progress."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from client.errors import ClientError
from client.ranks.feed import Feed
from client.runs.documents import Run
from scheduler import Table

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Offer:
    """A version of the run that is newer than the one in force, with its table, or why it cannot be taken up."""

    run: Run
    table: Table | None = None
    refusal: str = ""


class Watcher:
    """Follows a run for a training that never waits for it.

    The thread is a daemon, holds neither scheduler nor process group, and ends with `stop`. It learns of a change
    while it waits for the feed of changes, and by asking for the run where no feed is to be had. In a process that was
    forked it does nothing: the thread is the parent's.

    Args:
        client: where runs and tables come from.
        name: the run's.
        version: the one in force; 0 for that of no run.
        position: of the training, which is reported at once.
        worker: the name under which progress is reported; None reports none.
        poll: seconds between two reports, and between two questions for the run where there is no feed.
    """

    def __init__(self, client: Any, name: str, version: int, *, position: int, worker: str | None, poll: float) -> None:
        self._client = client
        self._name = name
        self._worker = worker
        self._poll = poll
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._settled = version  # versions up to this one have been taken up or refused
        self._in_force = version
        self._newest: Run | None = None
        self._table: Table | None = None
        self._problem = ""
        self._position = position
        self._reported: tuple[int, int] | None = None
        self._feed = Feed(client, name)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"lrtables {name}", daemon=True)
        self._thread.start()

    def offer(self, position: int, stride: int) -> Offer | None:
        """What the training is to hear of now, at this position; None where there is nothing."""
        if os.getpid() != self._process:
            return None
        with self._lock:
            self._position = position
            run, table, problem = self._newest, self._table, self._problem
        if run is None or run.version <= self._settled:
            return None
        is_late = run.action != "rewind" and run.from_step is not None and run.from_step * stride < position
        if table is None and is_late:  # a rewind may begin behind us: its table tells whether an applied row differs
            return Offer(run, refusal=f"its table did not come before step {run.from_step} ({problem or 'it is late'})")
        return None if table is None else Offer(run, table)

    def settle(self, version: int, *, is_taken_up: bool) -> None:
        """Offer this version, and those before it, no more. Reports name it from now on where it is taken up."""
        with self._lock:
            self._settled = version
            self._table = None
            if is_taken_up:
                self._in_force = version

    def finish(self, position: int) -> None:
        """End the thread after a report of the last position."""
        if os.getpid() == self._process:
            with self._lock:
                self._position = position
        self.stop()

    def stop(self) -> None:
        """End the thread after its present request and a last report."""
        if os.getpid() == self._process:
            self._ends.set()

    def join(self, timeout: float) -> None:
        """Wait so many seconds for the thread to end."""
        if os.getpid() == self._process:
            self._thread.join(timeout)

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        next_report = 0.0
        while not self._ends.is_set():
            unreported = ""
            if (now := time.monotonic()) >= next_report:
                next_report = now + self._poll
                unreported = self._tried(self._report)
            unknown = self._tried(self._look)
            self._say("; ".join(filter(None, (unreported, unknown))))
            version = 0 if self._newest is None else self._newest.version
            self._feed.wait(self._ends, version, self._poll, is_away=bool(unknown))
        self._say(self._tried(self._report))

    def _tried(self, work: Callable[[], None]) -> str:
        """The error of a piece of work; empty where there was none. One must not keep the thread from the other."""
        try:
            work()
        except ClientError as error:
            return str(error)
        except Exception as error:  # a bug must not end the thread without a word
            _logger.exception("following run %s", self._name)
            return f"{type(error).__name__}: {error}"
        return ""

    def _report(self) -> None:
        with self._lock:
            report = self._position, self._in_force
        if self._worker is None or report == self._reported:
            return
        self._client.report_progress(self._name, self._worker, report[0], version=report[1] or None)
        self._reported = report

    def _look(self) -> None:
        """Ask for the run's head, and get its table where it is a new one."""
        run = self._client.run(self._name)
        with self._lock:
            is_known = self._newest is not None and run.version == self._newest.version
            if not is_known:
                self._newest, self._table = run, None
            has_table = self._table is not None or run.version <= self._settled
        if not has_table:
            table = self._client.get(run)
            with self._lock:
                self._table = table

    def _say(self, problem: str) -> None:
        """Log a problem when it is a new one."""
        with self._lock:
            is_new = bool(problem) and not self._problem
            self._problem = problem
        if is_new:
            _logger.warning("run %s: its table stays in force; following it meets a problem: %s", self._name, problem)
