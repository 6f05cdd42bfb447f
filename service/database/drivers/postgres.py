"""PostgreSQL's driver, taught to give up at the deadline: a server that hangs closes no connection."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from typing_extensions import override

from service.database.drivers.deadline import remaining

_SHORTEST = 2  # seconds: the driver waits no less for a connection
_INTERVAL = 0.1  # seconds from one look for Ctrl-C to the next

T = TypeVar("T")


class PromptConnection(psycopg.Connection[Any]):
    """A connection that waits for each answer until the deadline, and is closed after it: an answer is owed to it."""

    @override
    def wait(self, gen: PQGen[T], interval: float = _INTERVAL, timeout: float | None = None) -> T:
        left = remaining()
        try:
            return super().wait(gen, interval, None if math.isinf(left) else left)
        except psycopg.OperationalError:
            if not remaining():
                self.close()
            raise


def connect(*arguments: Any, **options: Any) -> PromptConnection:
    """A connection, in the time that remains: whole seconds, two at least. Raises `psycopg.Error`."""
    left = remaining()
    if not left:
        raise psycopg.errors.ConnectionTimeout("no time is left to connect")
    if not math.isinf(left):
        options["connect_timeout"] = max(_SHORTEST, math.ceil(left))
    return PromptConnection.connect(*arguments, **options)
