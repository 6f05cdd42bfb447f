"""PostgreSQL's driver with a deadline: a server that hangs does not close its connections, so the driver must."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from typing_extensions import override

from service.database.drivers.deadline import remaining

_MIN_CONNECT_SECONDS = 2  # the driver waits no less for a connection
_INTERVAL = 0.1  # seconds between checks for Ctrl-C

T = TypeVar("T")


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection that waits for each response until the deadline, and is closed if none came: it may still come."""

    @override
    def wait(self, gen: PQGen[T], interval: float = _INTERVAL, timeout: float | None = None) -> T:
        left = remaining()
        try:
            return super().wait(gen, interval, None if math.isinf(left) else left)
        except psycopg.OperationalError:
            if not remaining():
                self.close()
            raise


def connect(*arguments: Any, **options: Any) -> DeadlineConnection:
    """Connect before the deadline, rounded up to whole seconds, two at least. Raises `psycopg.Error`."""
    left = remaining()
    if not left:
        raise psycopg.errors.ConnectionTimeout("no time is left to connect")
    if not math.isinf(left):
        options["connect_timeout"] = max(_MIN_CONNECT_SECONDS, math.ceil(left))
    return DeadlineConnection.connect(*arguments, **options)
