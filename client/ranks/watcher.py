"""The background thread of rank 0: it asks for the newest version of a run, gets its table, and reports progress."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from client.errors import ClientError
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

    The thread is a daemon, holds neither scheduler nor process group, and ends with `stop`.

    Args:
        client: where runs and tables come from.
        name: the run's.
        version: the one in force.
        position: of the training, which is reported at once.
        worker: the name under which progress is reported; None reports none.
        poll: seconds between two questions.
    """

    def __init__(self, client: Any, name: str, version: int, *, position: int, worker: str | None, poll: float) -> None:
        self._client = client
        self._name = name
        self._worker = worker
        self._poll = poll
        self._lock = threading.Lock()
        self._settled = version  # versions up to this one have been taken up or refused
        self._newest: Run | None = None
        self._table: Table | None = None
        self._problem = ""
        self._position = position
        self._reported: int | None = None
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"lrtables {name}", daemon=True)
        self._thread.start()

    def offer(self, position: int, stride: int) -> Offer | None:
        """What the training is to hear of now, at this position; None where there is nothing."""
        with self._lock:
            self._position = position
            run, table, problem = self._newest, self._table, self._problem
        if run is None or run.version <= self._settled:
            return None
        is_late = run.action != "rewind" and run.from_step is not None and run.from_step * stride < position
        if table is None and is_late:  # a rewind may begin behind us: its table tells whether an applied row differs
            return Offer(run, refusal=f"its table did not come before step {run.from_step} ({problem or 'it is late'})")
        return None if table is None else Offer(run, table)

    def settle(self, version: int) -> None:
        """Offer this version, and those before it, no more."""
        with self._lock:
            self._settled = version
            self._table = None

    def finish(self, position: int) -> None:
        """End the thread after a report of the last position."""
        with self._lock:
            self._position = position
        self.stop()

    def stop(self) -> None:
        """End the thread after its present request and a last report."""
        self._ends.set()

    def join(self, timeout: float) -> None:
        """Wait so many seconds for the thread to end."""
        self._thread.join(timeout)

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._ends.is_set():
            self._say("; ".join(filter(None, (self._tried(work) for work in (self._report, self._look)))))
            self._ends.wait(self._poll)
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
        position = self._position
        if self._worker is None or position == self._reported:
            return
        self._client.report_progress(self._name, self._worker, position)
        self._reported = position

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
