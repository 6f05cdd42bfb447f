"""The feed of the changes of runs: asked for in parts, or sent as events while they happen."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from hashlib import sha256
from typing import Annotated

from fastapi import Query, Request, Response
from starlette.types import Scope

from service.database.changes import ChangeRow
from service.documentation.examples import Example
from service.errors import DatabaseError, FeedReplacedError, InvalidRequestError, ServiceError, StorageError, abbreviate
from service.http import events
from service.http.disconnect import cancel_on_disconnect
from service.http.responses import header, repr_digest
from service.http.waiting import waiting
from service.representations.changes import Changes, ChangesQuery, EventsQuery, change_json, changes_json
from service.routes.declaration import Resource
from service.routes.dependencies import ServerDep, check_token_again
from service.runs.feed import ChangeFeed, Read
from service.security.tokens import identity_of

resource = Resource("changes")

_HEARTBEAT_SECONDS = 15.0
_RETRY_MILLISECONDS = 2000
_PAUSE_SECONDS = 1.0  # after a failure of the database, until a stream asks it again
_EVENTS = 100  # sent in one piece: so many, and what a connection buffers, is in memory for a slow reader

IsWanted = Callable[[ChangeRow], bool]


@resource.declare(
    "GET",
    "/v1/changes",
    scope="read",
    example=Example({"since": "0", "wait": "0"}),
    errors=(403, 409, 422, 503),
    response_model=Changes,
)
async def changes(query: Annotated[ChangesQuery, Query()], request: Request, server: ServerDep) -> Response:
    """The changes of runs after a number, in the order in which they were made.

    Every change has a number, without a gap: whoever asks again with `next` as `since` sees each change once. If there
    is none yet, the response comes as soon as there is one, or after `wait` seconds without any. A server that stops
    responds at once. If the database was restored from a backup, and so has no change with that number any more, the
    response is 409 (`feed-replaced`): the reader begins anew, at 0. `next` also passes changes that are not shown:
    those of runs that the token does not cover, and those of other runs than `run`.
    """
    feed, is_wanted = server.feed, _filter(query.run, request.scope)
    read = await feed.read(query.since, query.limit, is_wanted)
    if query.wait and not read.changes and not feed.is_stopping:
        work = _wait_for_changes(read.next, query, feed, is_wanted, request.scope)
        read = await cancel_on_disconnect(request.receive, work)
        await check_token_again(request)
    body = changes_json(read).encode()
    headers = {"cache-control": "no-store", "repr-digest": repr_digest(sha256(body).digest())}
    return Response(body, headers=headers, media_type="application/json")


async def _wait_for_changes(
    after: int, query: ChangesQuery, feed: ChangeFeed, is_wanted: IsWanted | None, scope: Scope
) -> Read:
    """Return the next changes; none if none come in time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + query.wait
    with feed.admitted():
        while True:
            with waiting(scope):
                await feed.wait(after, end - loop.time())
            read = await feed.read(after, query.limit, is_wanted)
            if read.changes or feed.is_stopping or loop.time() >= end:
                return read
            after = read.next


@resource.declare(
    "GET",
    "/v1/events",
    scope="read",
    example=Example({"since": "0", "wait": "0"}, responses=(events.MEDIA_TYPE,)),
    errors=(403, 409, 422, 503),
    response_class=Response,
    responses={200: {"content": {events.MEDIA_TYPE: {}}}},
)
async def changes_as_events(query: Annotated[EventsQuery, Query()], request: Request, server: ServerDep) -> Response:
    """The changes of runs as server-sent events: `id` is a change's number, `event` is `change`, `data` is its JSON.

    A browser's `EventSource` reads them. When the stream has ended it connects again by itself, and sends the last
    number as `Last-Event-ID`, which overrides `since`: it misses nothing. A comment is sent every 15 seconds. The
    stream ends when the server stops, when the token is no longer valid, and when the database was replaced.
    """
    is_wanted = _filter(query.run, request.scope)
    position = await _first_position(query.since, request, server.feed)
    seconds = math.inf if query.wait is None else query.wait
    return events.EventStream(_events(position, seconds, is_wanted, request, server.feed))


async def _events(
    position: int, seconds: float, is_wanted: IsWanted | None, request: Request, feed: ChangeFeed
) -> AsyncGenerator[bytes]:
    """Yield the events after a number until the time is over, the server stops or the token is no longer valid."""
    loop = asyncio.get_running_loop()
    end, beat = loop.time() + seconds, loop.time() + _HEARTBEAT_SECONDS
    with feed.admitted():
        yield events.retry(_RETRY_MILLISECONDS) + events.event(position)
        while not feed.is_stopping and await _is_still_allowed(request):
            try:
                read = await _read(position, is_wanted, feed)
            except FeedReplacedError:
                return
            if read.next != position:
                position, beat = read.next, loop.time() + _HEARTBEAT_SECONDS
                yield _as_events(read)
                continue
            if (now := loop.time()) >= end:
                return
            if now >= beat:
                beat = now + _HEARTBEAT_SECONDS
                yield events.HEARTBEAT
            with waiting(request.scope), suppress(FeedReplacedError):
                await feed.wait(position, min(beat, end) - now)
                continue
            return


async def _read(position: int, is_wanted: IsWanted | None, feed: ChangeFeed) -> Read:
    """Return the next changes. If the database fails, a stream waits for it: a reader that gets an error gives up."""
    try:
        return await feed.read(position, _EVENTS, is_wanted)
    except DatabaseError:
        await asyncio.sleep(_PAUSE_SECONDS)
        return Read((), position)


def _as_events(read: Read) -> bytes:
    """Return changes as events; the reader remembers the last number also if that change is not shown."""
    shown = [events.event(change.sequence, change_json(change), "change") for change in read.changes]
    if not read.changes or read.changes[-1].sequence != read.next:
        shown.append(events.event(read.next))
    return b"".join(shown)


async def _is_still_allowed(request: Request) -> bool:
    try:
        await check_token_again(request)
    except (ServiceError, StorageError):
        return False
    return True


async def _first_position(since: int | None, request: Request, feed: ChangeFeed) -> int:
    """Return the number after which the events begin: Last-Event-ID, else `since`, else that of the newest change."""
    position = since
    if sent := header(request.scope, b"last-event-id"):
        position = _number(sent.decode("latin-1"))
    await feed.read(0 if position is None else position, limit=1)
    if position is None:
        return feed.newest
    return position


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        detail = f"Last-Event-ID must be the number of a change, got {abbreviate(text)!r}"
        raise InvalidRequestError.of_parameter("Last-Event-ID", detail, text)
    return int(text)


def _filter(run: str | None, scope: Scope) -> IsWanted | None:
    """Return whether the token may see a change, and the request asks for it. Raises `ForbiddenError`.

    None if every change is shown.
    """
    identity = identity_of(scope)
    if run is not None:
        identity.check("read", f"the feed of {run}", run)
    elif "*" in identity.namespaces:
        return None

    def is_wanted(change: ChangeRow) -> bool:
        name = f"{change.namespace}/{change.name}"
        return name == run if run is not None else identity.allows("read", name)

    return is_wanted
