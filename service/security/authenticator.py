"""Who asks: tokens, checked against the database, and remembered for seconds."""

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

_REFRESH = 5.0  # seconds from a token's check to its next one, during which it still holds
_FRESH = 10.0  # seconds for which a check holds, while the database answers
_STALE = 300.0  # the same, while it does not
_PATIENCE = 1.0  # seconds that a request with a known token waits for the database
_PAUSE = 1.0  # seconds from a failure of the database to the next question
_REFUSAL = 0.05  # seconds that it takes to refuse a token, whatever is wrong with it
_MOST = 10_000  # tokens remembered, and as many refused ones
_MOST_UNKNOWN = 2  # questions at a time about tokens never seen: guessing must not keep others from the database
_MOST_WAITING = 64  # such questions that wait: a token that is used for the first time waits behind them

_HEADER = re.compile(rb"(?i:bearer) (%b)" % TOKEN.pattern.encode())

_logger = logging.getLogger("lrtables")

T = TypeVar("T")
Clock = Callable[[], float]


class TokenSource(Protocol):
    """What knows the tokens: `service.database.tokens.TokenRecords`."""

    def find_by_hash(self, hash: str) -> TokenRow | None:  # noqa: A002  # what it is called wherever tokens are kept
        """The token with this hash. Blocks; raises `DatabaseError`."""


class _Known(NamedTuple):
    """A token that was checked: for how long that holds, on the monotonic clock."""

    identity: Identity
    checked_at: float
    refresh_at: float
    expires_at: float


class Authenticator:
    """Turns an Authorization header into the identity of its token. It belongs to one event loop.

    A check holds for 10 seconds, so that a revoked token is refused within that time; it is renewed in the background
    after 5. While the database gives no answer, or none within a second, known tokens hold for 300 seconds, and no
    request waits for it again until it answers. What is kept in memory is the SHA-256 of headers, never a token.

    Args:
        source: of the tokens.
        executors: in which the source is asked.
        clock: monotonic, in seconds.
        now: seconds since 1970.
    """

    def __init__(
        self, source: TokenSource, executors: Executors, *, clock: Clock = time.monotonic, now: Clock = time.time
    ) -> None:
        self._source = source
        self._executors = executors
        self._clock = clock
        self._now = now
        self._known: dict[bytes, _Known] = {}
        self._refused: dict[bytes, float] = {}
        self._checks: dict[bytes, asyncio.Task[Identity | None]] = {}
        self._unknown_turns = asyncio.Semaphore(_MOST_UNKNOWN)
        self._unknown = 0  # questions about tokens never seen
        self._silent_until = -math.inf  # the database is not asked before
        self._doubted_until = -math.inf  # nor waited for on behalf of a known token

    def recall(self, authorization: bytes) -> Identity | None:
        """The identity of a token that was checked a moment ago; None where `authenticate` has to be asked."""
        known = self._known.get(sha256(authorization).digest())
        return known.identity if known is not None and self._clock() < known.refresh_at else None

    async def authenticate(self, authorization: bytes) -> Identity:
        """The identity of the token in an Authorization header.

        Raises `UnauthenticatedError`, which says the same, after the same time, of a token that is unknown, has expired
        or was revoked; `DatabaseError` where the token is not known and the database does not answer; `QueueFullError`
        where it is not known and too many others wait that are not.
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
        if now < self._refused.get(key, -math.inf):
            return None
        known, check = self._known.get(key), self._check(key, token)
        if known is not None:
            if now >= max(known.checked_at + _FRESH, self._doubted_until):
                await self._be_patient(check)
            if _unanswered(check) and self._clock() < min(known.checked_at + _STALE, known.expires_at):
                return known.identity
        return await asyncio.shield(check)

    async def _be_patient(self, check: asyncio.Task[Identity | None]) -> None:
        done, _ = await asyncio.wait({check}, timeout=_PATIENCE)
        if not done:
            self._doubted_until = self._clock() + _FRESH

    def _check(self, key: bytes, token: str) -> asyncio.Task[Identity | None]:
        """The check of this token that is under way; a new one where there is none."""
        if (check := self._checks.get(key)) is None:
            check = self._checks[key] = asyncio.create_task(self._ask(key, token))
            check.add_done_callback(lambda done: self._finish(key, done))
        return check

    def _finish(self, key: bytes, check: asyncio.Task[Identity | None]) -> None:
        del self._checks[key]
        if not check.cancelled():
            check.exception()  # seen, even where nobody waits for it

    async def _ask(self, key: bytes, token: str) -> Identity | None:
        """Ask the database, and remember what it says."""
        async with self._turn(key):
            asked_at = self._clock()
            identity = self._valid(await self._row(token_hash(token)), token)
        if identity is None:
            self._known.pop(key, None)
            _keep(self._refused, key, asked_at + _FRESH)
        else:
            _keep(self._known, key, self._remembered(identity, asked_at))
        return identity

    def _turn(self, key: bytes) -> AbstractAsyncContextManager[None]:
        return nullcontext() if key in self._known else self._unknown_turn()

    @asynccontextmanager
    async def _unknown_turn(self) -> AsyncIterator[None]:
        if self._unknown >= _MOST_WAITING + _MOST_UNKNOWN:
            raise QueueFullError("many tokens wait to be checked for the first time: try again")
        self._unknown += 1
        try:
            async with self._unknown_turns:
                yield
        finally:
            self._unknown -= 1

    async def _row(self, digest: str) -> TokenRow | None:
        if self._clock() < self._silent_until:
            raise DatabaseError("the database does not answer")
        try:
            return await self._executors.database(self._source.find_by_hash, digest)
        except DatabaseError as error:
            _logger.warning("tokens cannot be checked, those known hold for %d s: %s", _STALE, error)
            self._silent_until = self._clock() + _PAUSE
            self._doubted_until = self._clock() + _FRESH
            raise

    def _valid(self, row: TokenRow | None, token: str) -> Identity | None:
        if row is None or not compare_digest(row.hash, token_hash(token)) or row.state(self._now()) != "valid":
            return None
        return Identity.of(row)

    def _remembered(self, identity: Identity, asked_at: float) -> _Known:
        remaining = math.inf if identity.expires_at is None else identity.expires_at - self._now()
        expires_at = self._clock() + remaining
        return _Known(identity, asked_at, min(asked_at + _REFRESH, expires_at), expires_at)


def authorization(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The Authorization header; empty where there is none. Several are a list, which holds no token."""
    return b", ".join([value for name, value in headers if name == b"authorization"])


def _token_in(authorization: bytes) -> str:
    found = _HEADER.fullmatch(authorization)
    if found is None:
        raise UnauthenticatedError("this server asks for a token, sent as 'Authorization: Bearer lrt_...'")
    return found[1].decode()


def _unanswered(check: asyncio.Task[Identity | None]) -> bool:
    """Whether the database has not answered, or not yet."""
    return not check.done() or (not check.cancelled() and isinstance(check.exception(), DatabaseError))


def _keep(kept: dict[bytes, T], key: bytes, value: T) -> None:
    """Keep a value as the newest, and the oldest no longer where there are too many."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > _MOST:
        del kept[next(iter(kept))]
