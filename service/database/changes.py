"""The feed of changes: every change of a run, numbered without a gap in the order of the commits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from sqlalchemy import Connection, func, select
from typing_extensions import override

from service.database.checked_table import CheckedTable, DamagedRow, Decision
from service.database.database import Database
from service.database.drivers.dialects import lock_name, notify
from service.database.rows import Row, Stored
from service.database.schema import CHANGES

CHANNEL = "lrtables_changes"
"""The channel of PostgreSQL on which the commit of each change is notified."""
PAGE = 1000
"""The most changes that one query returns, unless more are asked for."""

_LOCK = "the feed of changes"


@dataclass(frozen=True)
class ChangeRow(Row):
    """A change of a run. `created_at` is in seconds since 1970; `details` tell what it has set, as JSON data."""

    sequence: int
    namespace: str
    name: str
    version: int
    action: str
    digest: str
    author: str
    created_at: float
    reason: str | None = None
    details: Mapping[str, Any] | None = field(default=None, hash=False)

    @classmethod
    @override
    def of(cls, stored: Stored) -> Self:
        details = stored["details"]
        return super().of({**stored, "details": None if details is None else json.loads(details)})


class ChangeRecords:
    """The feed of changes; from any thread.

    A change is appended in the transaction that makes it. The number is taken under a lock that is held until the
    commit, so a reader that has seen a number has seen all before it. A damaged row is refused: nobody could make it
    again. Every method raises `DatabaseError` if the database refuses or does not answer in time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changes = CheckedTable(database, CHANGES, ChangeRow, _refuse)

    @property
    def checked_tables(self) -> Sequence[CheckedTable[Any]]:
        """The tables of the database that this aggregate owns."""
        return (self._changes,)

    def problems(self) -> Iterator[str]:
        """Yield a line for each gap in the numbers."""
        expected = 1
        for change in self._changes.intact():
            if change.sequence != expected:
                yield f"changes {expected} to {change.sequence - 1} are missing"
            expected = change.sequence + 1

    def append(self, connection: Connection, change: ChangeRow) -> ChangeRow:
        """Append a change, whose `sequence` is ignored, as the last step of its transaction; return it numbered."""
        lock_name(connection, _LOCK)
        last = connection.scalar(select(func.max(CHANGES.c.sequence))) or 0
        numbered = ChangeRow(**{**vars(change), "sequence": last + 1})
        self._changes.insert(connection, numbered)
        notify(connection, CHANNEL, str(numbered.sequence))
        return numbered

    def newest(self) -> ChangeRow | None:
        """Return the newest change; None if there is none."""
        return next(iter(self._changes.find_all(order_by=[CHANGES.c.sequence.desc()], limit=1)), None)

    def since(self, sequence: int, limit: int = PAGE) -> list[ChangeRow]:
        """Return the changes after this number in their order: the first `limit` of them."""
        return self._changes.find_all(CHANGES.c.sequence > sequence, order_by=[CHANGES.c.sequence], limit=limit)

    async def listen(self, committed: Callable[[], None]) -> None:
        """Call `committed` soon after a commit of a change by any process, as long as PostgreSQL says so.

        It is only a hint: some commits may go without. Ends when it is cancelled; on SQLite, which has no
        notifications, at once.
        """
        await self._database.listen(CHANNEL, committed)


def _refuse(damaged: DamagedRow) -> Decision:
    """Refuse any damaged row: a change that is missing would be missed for ever."""
    return "refuse"
