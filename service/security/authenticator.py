"""Authentication: tokens are checked against the database, and the results are cached for seconds."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from hashlib import sha256
from hmac import compare_digest
from typing import NamedTuple, Protocol, TypeVar

from service.concurrency.executors import Executors
from service.database.tokens import TokenRow
from service.errors import DatabaseError, QueueFullError, UnauthenticatedError
from service.security.tokens import TOKEN, Identity, token_hash

_REFRESH = 5.0  # seconds after which a cached result is refreshed in the background
_FRESH = 10.0  # seconds for which a result is valid while the database works
_STALE = 300.0  # seconds for which a result is valid while the database fails
_DATABASE_WAIT = 1.0  # seconds that a request with a cached token waits for the database
_PAUSE = 1.0  # seconds from a failure of the database to the next query
_REFUSAL = 0.05  # seconds until an invalid token is rejected, so that the time does not tell why
_MOST = 10_000  # cached results of valid tokens, and as many of rejected ones
_MOST_FIRST_CHECKS = 2  # concurrent queries for uncached tokens: guessed tokens must not block the database for others
_MOST_WAITING = 64  # uncached tokens that wait for such a query

_HEADER = re.compile(rb"(?i:bearer) (%b)" % TOKEN.pattern.encode())

_logger = logging.getLogger("lrtables")

T = TypeVar("T")
Clock = Callable[[], float]


class TokenSource(Protocol):
    """Where tokens are stored: `service.database.tokens.TokenRecords`."""

    def find_by_hash(self, hash: str) -> TokenRow | None:  # noqa: A002  # the name of the database's column
        """Return the token with this hash, or None. Blocks; raises `DatabaseError`."""


class _CachedIdentity(NamedTuple):
    """The identity of a checked token, and how long it is valid. Times are those of the monotonic clock."""

    identity: Identity
    checked_at: float
    refresh_at: float
    expires_at: float


class Authenticator:
    """Turns an Authorization header into the identity of its token. It belongs to one event loop.

    A result is cached for 10 seconds, so a revoked token is rejected within that time. After 5 seconds it is refreshed
    in the background. While the database fails, or takes longer than a second, cached tokens stay valid for 300
    seconds, and no other request waits for it until it works again. The cache holds SHA-256 hashes of headers, never a
    token.

    Args:
        source: where the tokens are stored.
        executors: whose database executor queries the source.
        clock: monotonic clock, in seconds.
        now: clock in seconds since 1970.
    """

    def __init__(
        self, source: TokenSource, executors: Executors, *, clock: Clock = time.monotonic, now: Clock = time.time
    ) -> None:
        self._source = source
        self._executors = executors
        self._clock = clock
        self._now = now
        self._cached: dict[bytes, _CachedIdentity] = {}
        self._rejected: dict[bytes, float] = {}
        self._checks: dict[bytes, asyncio.Task[Identity | None]] = {}
        self._first_check_slots = asyncio.Semaphore(_MOST_FIRST_CHECKS)
        self._first_checks = 0  # queries for uncached tokens, active or waiting
        self._no_queries_until = -math.inf  # after a failure of the database
        self._no_waiting_until = -math.inf  # after a failure or a slow query, for requests with cached tokens

    def cached_identity(self, authorization: bytes) -> Identity | None:
        """Return the identity of a recently checked token; None if `authenticate` must be called."""
        cached = self._cached.get(sha256(authorization).digest())
        return cached.identity if cached is not None and self._clock() < cached.refresh_at else None

    async def authenticate(self, authorization: bytes) -> Identity:
        """Return the identity of the token in an Authorization header.

        Raises `UnauthenticatedError` for an unknown, expired or revoked token, with the same message and after the same
        time. For an uncached token it raises `DatabaseError` if the database fails, and `QueueFullError` if too many
        other uncached tokens wait.
        """
        arrived = self._clock()
        token = _token_in(authorization)
        identity = await self._identify(sha256(authorization).digest(), token)
        if identity is None:
            await asyncio.sleep(arrived + _REFUSAL - self._clock())
            raise UnauthenticatedError("the token is not valid: it is unknown, has expired, or was revoked")
        return identity

    async def _identify(self, key: bytes, token: str) -> Identity | None:
        now = self._clock()
        if now < self._rejected.get(key, -math.inf):
            return None
        cached, check = self._cached.get(key), self._check(key, token)
        if cached is not None:
            if now >= max(cached.checked_at + _FRESH, self._no_waiting_until):
                await self._wait_for(check)
            if _lacks_result(check) and self._clock() < min(cached.checked_at + _STALE, cached.expires_at):
                return cached.identity
        return await asyncio.shield(check)

    async def _wait_for(self, check: asyncio.Task[Identity | None]) -> None:
        done, _ = await asyncio.wait({check}, timeout=_DATABASE_WAIT)
        if not done:
            self._no_waiting_until = self._clock() + _FRESH

    def _check(self, key: bytes, token: str) -> asyncio.Task[Identity | None]:
        """Return the active check of this token, or start one."""
        if (check := self._checks.get(key)) is None:
            check = self._checks[key] = asyncio.create_task(self._query(key, token))
            check.add_done_callback(lambda done: self._finish(key, done))
        return check

    def _finish(self, key: bytes, check: asyncio.Task[Identity | None]) -> None:
        del self._checks[key]
        if not check.cancelled():
            check.exception()  # marks it as retrieved: asyncio would log an exception that nobody waited for

    async def _query(self, key: bytes, token: str) -> Identity | None:
        """Query the database, and cache the result."""
        async with self._slot(key):
            queried_at = self._clock()
            identity = self._valid(await self._row(token_hash(token)), token)
        if identity is None:
            self._cached.pop(key, None)
            _store(self._rejected, key, queried_at + _FRESH)
        else:
            _store(self._cached, key, self._cache_entry(identity, queried_at))
        return identity

    def _slot(self, key: bytes) -> AbstractAsyncContextManager[None]:
        return nullcontext() if key in self._cached else self._first_check_slot()

    @asynccontextmanager
    async def _first_check_slot(self) -> AsyncIterator[None]:
        if self._first_checks >= _MOST_WAITING + _MOST_FIRST_CHECKS:
            raise QueueFullError(f"{self._first_checks} new tokens already wait to be checked: try again")
        self._first_checks += 1
        try:
            async with self._first_check_slots:
                yield
        finally:
            self._first_checks -= 1

    async def _row(self, digest: str) -> TokenRow | None:
        if self._clock() < self._no_queries_until:
            raise DatabaseError("the database failed less than a second ago")
        try:
            return await self._executors.database(self._source.find_by_hash, digest)
        except DatabaseError as error:
            _logger.warning("tokens cannot be checked, cached ones stay valid for %d s: %s", _STALE, error)
            self._no_queries_until = self._clock() + _PAUSE
            self._no_waiting_until = self._clock() + _FRESH
            raise

    def _valid(self, row: TokenRow | None, token: str) -> Identity | None:
        if row is None or not compare_digest(row.hash, token_hash(token)) or row.state(self._now()) != "valid":
            return None
        return Identity.of(row)

    def _cache_entry(self, identity: Identity, queried_at: float) -> _CachedIdentity:
        remaining = math.inf if identity.expires_at is None else identity.expires_at - self._now()
        expires_at = self._clock() + remaining
        return _CachedIdentity(identity, queried_at, min(queried_at + _REFRESH, expires_at), expires_at)


def authorization(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the Authorization header; empty if there is none. Several are joined by commas, which is never valid."""
    return b", ".join([value for name, value in headers if name == b"authorization"])


def _token_in(authorization: bytes) -> str:
    found = _HEADER.fullmatch(authorization)
    if found is None:
        raise UnauthenticatedError("this server requires a token: send 'Authorization: Bearer lrt_...'")
    return found[1].decode()


def _lacks_result(check: asyncio.Task[Identity | None]) -> bool:
    """Return whether the check has no result, because it is still running or the database failed."""
    return not check.done() or (not check.cancelled() and isinstance(check.exception(), DatabaseError))


def _store(cache: dict[bytes, T], key: bytes, value: T) -> None:
    """Store a value as the newest, and evict the oldest if there are too many."""
    cache.pop(key, None)
    cache[key] = value
    if len(cache) > _MOST:
        del cache[next(iter(cache))]
