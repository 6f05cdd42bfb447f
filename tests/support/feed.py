"""Writing changes into the feed behind a server's back, and reading the feed over HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection

from service.database.changes import ChangeRecords, ChangeRow
from service.database.database import Database
from service.database.drivers.engine import parse_url

PATIENCE = 60.0  # seconds: far beyond everything that is waited for


def change(name: str = "bert", namespace: str = "team-a", author: str = "") -> ChangeRow:
    """A change of a run, not numbered yet."""
    return ChangeRow(0, namespace, name, 1, "create", "0" * 64, author, 1_790_000_000.0)


def sqlite_url(data_dir: Path) -> str:
    """The address of the database that a server makes in its data directory."""
    return f"sqlite:///{data_dir / 'metadata.sqlite'}"


class FeedWriter:
    """Appends changes to the feed in a database, as another process would; from any thread."""

    def __init__(self, url: str) -> None:
        self._database = Database(parse_url(url), PATIENCE)
        self.records = ChangeRecords(self._database)

    def append(self, *changes: ChangeRow) -> int:
        """Append changes, of one run where none are given, in one transaction; return the number of the last."""
        with self.transaction() as connection:
            numbers = [self.records.append(connection, one).sequence for one in changes or (change(),)]
        return numbers[-1]

    def transaction(self) -> AbstractContextManager[Connection]:
        """A transaction that writes."""
        return self._database.transaction("write")

    def close(self) -> None:
        """Close the connections."""
        self._database.close()


class Event(NamedTuple):
    """What came between two empty lines of a stream: its ID, the data of a change, and whether it was a comment."""

    id: int | None
    data: dict[str, Any] | None
    is_comment: bool = False


def get(port: int, path: str, **headers: str) -> tuple[int, Any]:
    """The status and JSON of a GET, over a connection of its own."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, json.loads(response.read())


@contextmanager
def stream(port: int, query: str = "", **headers: str) -> Iterator[Iterator[Event]]:
    """The events of a stream, as they come, until the server ends it. Raises `HTTPException` if there is none."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request(
            "GET", f"/v1/events{query}", headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        response = connection.getresponse()
        if response.status != 200:
            raise http.client.HTTPException(f"{response.status}: {response.read()!r}")
        assert response.headers["content-type"].startswith("text/event-stream")
        yield parsed(iter(response.readline, b""))


def parsed(lines: Iterator[bytes]) -> Iterator[Event]:
    """The events in lines of a stream. What is cut off is not an event."""
    fields: dict[str, str] = {}
    for line in lines:
        if line != b"\n":
            name, _, value = line.decode().rstrip("\n").partition(":")
            fields[name] = value.strip()
        elif fields:
            number = int(fields["id"]) if "id" in fields else None
            data = json.loads(fields["data"]) if "data" in fields else None
            if fields.keys() != {"retry"}:
                yield Event(number, data, is_comment="" in fields)
            fields = {}
