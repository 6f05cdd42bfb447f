"""PostgreSQL's driver with a deadline: a server that hangs does not close its connections, so the driver must.

And a connection that waits for notifications, in an event loop.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.abc import PQGen
from sqlalchemy import URL
from typing_extensions import override

from service.database.drivers.deadline import remaining

_MIN_CONNECT_SECONDS = 2  # the driver waits no less for a connection
_INTERVAL = 0.1  # seconds between checks for Ctrl-C
_LISTEN_CONNECT_SECONDS = 10
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds before the next attempt to listen
# A connection that was cut off is noticed within a minute, though it never sends anything by itself.
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}

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
    connection = DeadlineConnection.connect(*arguments, **options)
    # A pooler may hand us a session in which somebody has used LISTEN. The driver would collect what is sent to it.
    connection.add_notify_handler(_ignore)
    return connection


def _ignore(notification: psycopg.Notify) -> None:
    """Drop a notification."""


async def listen(url: URL, channel: str, notified: Callable[[], None]) -> None:
    """Call `notified` for each notification on a channel, and whenever the connection is new. Ends when cancelled.

    Notifications are lost while there is no connection, and behind a pooler that does not keep one session for each
    client: they are only a hint. Whatever happens to the connection, another one is made, at first after half a second
    and later every half minute.
    """
    arguments, options = url.get_dialect()().create_connect_args(url)
    options = {"connect_timeout": _LISTEN_CONNECT_SECONDS, **_KEEPALIVE, **options, "autocommit": True}
    pause = _FIRST_PAUSE
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(*arguments, **options) as connection:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                notified()  # whatever was sent before this is lost
                async for _ in connection.notifies():
                    pause = _FIRST_PAUSE
                    notified()
        except (psycopg.Error, OSError):
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, _LONGEST_PAUSE)
