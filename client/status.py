"""What a client knows of its service, and what it has done so far."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from client.cache.node_cache import NodeCache
from client.errors import ClientError
from client.http.responses import Response
from client.http.transport import Transport
from client.resolve import Resolver

_MOST_BYTES = 2**18  # of the service's description of itself


@dataclass(frozen=True)
class Status:
    """Whether the service answers, and what the token allows.

    Args:
        url: of the service.
        reachable: whether it answered.
        error: why it did not, or did not tell everything; empty where nothing is wrong.
        version: of lrtables there; None where it did not tell.
        scopes: of the token that was sent; all that there are where the service asks for none.
        namespaces: of runs that the token is for; empty for all.
    """

    url: str
    reachable: bool
    error: str = ""
    version: str | None = None
    scopes: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stats:
    """What a client has done since it was made. Counts of threads at once may miss one.

    Args:
        requests: sent, repeated ones included.
        retries: requests that were sent again.
        received_bytes: of the bodies of responses.
        from_cache: tables that were in the cache.
        computed: tables that were computed here, with the digest that the service or the caller named.
        received: tables whose bytes came from the service.
        unconfirmed: tables that were computed here because no service answered.
        set_aside: damaged files in the cache that were set aside.
        cache_folder: where the cache is; None where there is none.
        cache_failures: times that its folder did not work.
        cache_error: what was wrong the last time; empty where nothing was.
    """

    requests: int
    retries: int
    received_bytes: int
    from_cache: int
    computed: int
    received: int
    unconfirmed: int
    set_aside: int
    cache_folder: str | None
    cache_failures: int
    cache_error: str


def stats_of(transport: Transport, resolver: Resolver, cache: NodeCache | None) -> Stats:
    """The counters of a client's parts."""
    sent, sources = transport.statistics, resolver.sources
    return Stats(
        requests=sent.requests,
        retries=sent.retries,
        received_bytes=sent.received,
        from_cache=sources["cache"],
        computed=sources["computed"],
        received=sources["received"],
        unconfirmed=sources["unconfirmed"],
        set_aside=0 if cache is None else cache.counts.set_aside,
        cache_folder=None if cache is None else str(cache.folder),
        cache_failures=0 if cache is None else cache.counts.failures,
        cache_error="" if cache is None else cache.counts.last_failure,
    )


def status_of(transport: Transport, seconds: float) -> Status:
    """Ask the service, for at most so many seconds. An error is told, not raised."""
    url, deadline = transport.base_url, time.monotonic() + seconds

    def get(path: str) -> Response:
        return transport.send("GET", path, deadline=deadline, max_bytes=_MOST_BYTES, refused_patience=0.0)

    status = Status(url, reachable=False)
    try:
        get("/livez")
        status = Status(url, reachable=True)
        token = get("/v1/token").json_object()
        status = replace(status, scopes=_texts(token.get("scopes")), namespaces=_texts(token.get("namespaces")))
        return replace(status, version=_text(get("/v1/server").json_object().get("version")))
    except ClientError as error:
        return replace(status, error=str(error))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()
