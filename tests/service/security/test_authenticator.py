"""Authentication against the real metadata: cached results, revocation, and an unavailable database."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from service.concurrency.executors import Executors
from service.database.metadata import Metadata, open_metadata
from service.database.tokens import TokenRow
from service.errors import DatabaseError, QueueFullError, UnauthenticatedError
from service.security.authenticator import Authenticator
from service.security.tokens import new_token
from service.settings import Settings

NOW = 1_000_000.0  # seconds since 1970, where the test's clock starts
UNKNOWN = b"Bearer lrt_" + b"A" * 22


class Source:
    """The metadata, with a switch to make it fail and one to make it hang. It counts its queries."""

    def __init__(self, metadata: Metadata) -> None:
        self.metadata = metadata
        self.down = False
        self.answering = threading.Event()
        self.answering.set()
        self.asked = 0
        self.asking = 0
        self.most_at_once = 0

    def find_by_hash(self, hash: str) -> TokenRow | None:  # noqa: A002  # the protocol's name for it
        self.asked += 1
        self.asking += 1
        self.most_at_once = max(self.most_at_once, self.asking)
        try:
            assert self.answering.wait(60)
            if self.down:
                raise DatabaseError("the database is unavailable")
            return self.metadata.tokens.find_by_hash(hash)
        finally:
            self.asking -= 1

    def make(self, *, expires_in: float | None = None) -> tuple[bytes, str]:
        """Add a new token, and return its header and its ID."""
        token, row = new_token("a test", ["read"], expires_in=expires_in, now=NOW)
        self.metadata.tokens.add(row)
        return b"Bearer " + token.encode(), row.token_id


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    metadata = open_metadata(Settings(data_dir=tmp_path))
    yield Source(metadata)
    metadata.close()


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def authenticator(source: Source, clock: Time) -> Iterator[Authenticator]:
    executors = Executors()
    yield Authenticator(source, executors, clock=clock, now=lambda: NOW + clock())
    source.answering.set()
    executors.close()


async def refusal(asking: Awaitable[object]) -> str:
    with pytest.raises(UnauthenticatedError, match="token") as caught:
        await asking
    return str(caught.value)


async def settle(authenticator: Authenticator) -> None:
    """Wait for the background checks to finish."""
    while authenticator._checks:
        await asyncio.wait(authenticator._checks.values())
        await asyncio.sleep(0)


def test_a_token_is_checked_once_and_cached(source: Source, authenticator: Authenticator) -> None:
    """Concurrent requests with one token cause one query; later requests use the cached result."""
    header, token_id = source.make()

    async def main() -> None:
        assert authenticator.cached_identity(header) is None
        found = await asyncio.gather(*(authenticator.authenticate(header) for _ in range(50)))
        assert {identity.token_id for identity in found} == {token_id}
        assert authenticator.cached_identity(header) is found[0]

    asyncio.run(main())
    assert source.asked == 1


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"Bearer", id="no-token"),
        pytest.param(b"Basic dXNlcjpwYXNz", id="basic"),
        pytest.param(UNKNOWN + b", " + UNKNOWN, id="twice"),
        pytest.param(UNKNOWN + b"\n", id="line-end"),
        pytest.param(UNKNOWN[:-1], id="short"),
        pytest.param(b"Bearer \xff\x00", id="bytes"),
        pytest.param(b"Bearer " + b"A" * 60_000, id="long"),
    ],
)
def test_a_malformed_header_needs_no_query(source: Source, authenticator: Authenticator, header: bytes) -> None:
    """A header without a token is rejected without a query, and the error says what to send."""
    message = asyncio.run(refusal(authenticator.authenticate(header)))
    assert message == "this server requires a token: send 'Authorization: Bearer lrt_...'"
    assert source.asked == 0


def test_the_scheme_is_not_case_sensitive(source: Source, authenticator: Authenticator) -> None:
    """The scheme's name is not case-sensitive (RFC 9110); the token is."""
    header, token_id = source.make()
    assert asyncio.run(authenticator.authenticate(header.replace(b"Bearer", b"bEARER"))).token_id == token_id
    asyncio.run(refusal(authenticator.authenticate(b"Bearer " + header[7:].swapcase())))


def test_a_rejection_does_not_tell_why(source: Source, authenticator: Authenticator) -> None:
    """Unknown, expired and revoked tokens get the same message after the same time, and it quotes no token."""
    expired, _ = source.make(expires_in=-1.0)
    revoked, token_id = source.make()
    assert source.metadata.tokens.revoke(token_id, NOW)

    async def main() -> None:
        for header in (UNKNOWN, expired, revoked) * 2:  # the second time from memory
            started = time.monotonic()
            message = await refusal(authenticator.authenticate(header))
            assert message == "the token is not valid: it is unknown, has expired, or was revoked"
            assert time.monotonic() - started >= 0.049

    asyncio.run(main())
    assert source.asked == 3


def test_a_revoked_token_is_rejected_within_ten_seconds(
    source: Source, authenticator: Authenticator, clock: Time
) -> None:
    """A token in use is checked again in the background after 5 seconds; an idle one before its use, after 10."""
    busy, busy_id = source.make()
    idle, idle_id = source.make()

    async def main() -> None:
        await authenticator.authenticate(busy)
        await authenticator.authenticate(idle)
        assert source.metadata.tokens.revoke(busy_id, NOW)
        assert source.metadata.tokens.revoke(idle_id, NOW)
        clock.seconds = 4.9
        assert authenticator.cached_identity(busy) is not None
        clock.seconds = 5.1
        assert authenticator.cached_identity(busy) is None
        assert (await authenticator.authenticate(busy)).token_id == busy_id
        await settle(authenticator)
        await refusal(authenticator.authenticate(busy))
        clock.seconds = 10.0
        await refusal(authenticator.authenticate(idle))

    asyncio.run(main())


def test_a_cached_token_expires_in_time(source: Source, authenticator: Authenticator, clock: Time) -> None:
    """A cached token is valid until it expires, and not longer."""
    header, _ = source.make(expires_in=2.0)

    async def main() -> None:
        await authenticator.authenticate(header)
        clock.seconds = 1.9
        assert authenticator.cached_identity(header) is not None
        clock.seconds = 2.0
        assert authenticator.cached_identity(header) is None
        await refusal(authenticator.authenticate(header))

    asyncio.run(main())


def test_a_new_token_is_valid_immediately(source: Source, authenticator: Authenticator) -> None:
    """A new token is valid immediately, even after other tokens were rejected."""

    async def main() -> None:
        await refusal(authenticator.authenticate(UNKNOWN))
        header, token_id = source.make()
        assert (await authenticator.authenticate(header)).token_id == token_id

    asyncio.run(main())


# -- while the database is unavailable --------------------------------------------------------------------------------


def test_cached_tokens_stay_valid_without_the_database(
    source: Source, authenticator: Authenticator, clock: Time
) -> None:
    """While the database fails, cached tokens are valid for 300 seconds; then, and for new ones, it is an error."""
    header, token_id = source.make()

    async def main() -> None:
        await authenticator.authenticate(header)
        source.down = True
        for seconds in (6.0, 20.0, 100.0, 299.9):
            clock.seconds = seconds
            assert (await authenticator.authenticate(header)).token_id == token_id
            await settle(authenticator)
        clock.seconds = 300.0
        for asked in (header, UNKNOWN):
            with pytest.raises(DatabaseError, match="the database"):
                await authenticator.authenticate(asked)

    asyncio.run(main())


def test_a_recovered_database_is_queried_again(source: Source, authenticator: Authenticator, clock: Time) -> None:
    """When the database works again it is queried without a restart, and revoked tokens are rejected."""
    header, token_id = source.make()

    async def main() -> None:
        await authenticator.authenticate(header)
        source.down = True
        clock.seconds = 200.0
        await authenticator.authenticate(header)
        assert source.metadata.tokens.revoke(token_id, NOW)
        source.down = False
        clock.seconds = 210.1
        await refusal(authenticator.authenticate(header))

    asyncio.run(main())


def test_a_failing_database_is_queried_once_a_second(source: Source, authenticator: Authenticator, clock: Time) -> None:
    """After a failure the next query is a second later; until then uncached tokens fail immediately."""
    source.down = True

    async def ask() -> None:
        with pytest.raises(DatabaseError, match="the database"):
            await authenticator.authenticate(UNKNOWN)

    async def main() -> None:
        for _ in range(10):
            await ask()
        assert source.asked == 1
        clock.seconds = 1.0
        await ask()
        assert source.asked == 2

    asyncio.run(main())


def test_a_hung_database_is_waited_for_once(
    source: Source, authenticator: Authenticator, clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first request with a cached token waits a second for a hung database; later ones do not wait."""
    header, token_id = source.make()

    async def main() -> None:
        await authenticator.authenticate(header)
        source.answering.clear()
        clock.seconds = 60.0
        monkeypatch.setattr("service.security.authenticator._DATABASE_WAIT", 0.01)
        assert (await authenticator.authenticate(header)).token_id == token_id
        monkeypatch.setattr(
            "service.security.authenticator._DATABASE_WAIT", 1e6
        )  # seconds: a request that waits now hangs the test
        for seconds in (60.0, 65.0, 69.9):
            clock.seconds = seconds
            assert (await authenticator.authenticate(header)).token_id == token_id
        source.answering.set()
        await settle(authenticator)
        assert authenticator.cached_identity(header) is None  # the result of a query from 10 seconds ago is too old
        assert (await authenticator.authenticate(header)).token_id == token_id

    asyncio.run(main())
    assert source.asked <= 3


# -- hostile clients --------------------------------------------------------------------------------------------------


def test_guessed_tokens_do_not_block_the_database(source: Source, authenticator: Authenticator, clock: Time) -> None:
    """Any number of guessed tokens cause at most two queries at a time; a cached token is refreshed meanwhile."""
    header, token_id = source.make()

    async def main() -> None:
        await authenticator.authenticate(header)
        source.answering.clear()
        guesses = [asyncio.create_task(refusal(authenticator.authenticate(guess(number)))) for number in range(20)]
        await until(lambda: source.asking == 2)
        clock.seconds = 6.0
        assert (await authenticator.authenticate(header)).token_id == token_id
        await until(lambda: source.asking == 3)
        source.answering.set()
        await asyncio.gather(*guesses)
        await settle(authenticator)
        assert authenticator.cached_identity(header) is not None

    asyncio.run(main())
    assert source.most_at_once == 3


def test_the_queue_of_new_tokens_is_bounded(source: Source, authenticator: Authenticator) -> None:
    """If the queue is full, new tokens are rejected as worth a retry, but not a cached one or one being checked."""
    header, token_id = source.make()
    fresh, fresh_id = source.make()

    async def main() -> None:
        await authenticator.authenticate(header)
        source.answering.clear()
        first = asyncio.create_task(authenticator.authenticate(fresh))
        await until(lambda: source.asking == 1)
        guesses = [asyncio.create_task(refusal(authenticator.authenticate(guess(number)))) for number in range(65)]
        await until(lambda: source.asking == 2)
        for number in range(65, 1000):
            with pytest.raises(QueueFullError, match="try again"):
                await authenticator.authenticate(guess(number))
        again = asyncio.create_task(authenticator.authenticate(fresh))
        assert (await authenticator.authenticate(header)).token_id == token_id
        source.answering.set()
        assert (await first).token_id == (await again).token_id == fresh_id
        await asyncio.gather(*guesses)
        await settle(authenticator)
        await refusal(
            authenticator.authenticate(guess(999))
        )  # it was not checked before, so it is not cached as rejected

    asyncio.run(main())


def guess(number: int) -> bytes:
    return b"Bearer lrt_%022d" % number


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_memory_is_bounded(source: Source, authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest valid and rejected tokens are evicted from separate caches, so guesses never evict a valid token."""
    monkeypatch.setattr("service.security.authenticator._MOST", 5)
    monkeypatch.setattr("service.security.authenticator._REFUSAL", 0.0)
    headers = [source.make()[0] for _ in range(8)]

    async def main() -> None:
        for header in headers:
            await authenticator.authenticate(header)
        for number in range(20):
            await refusal(authenticator.authenticate(guess(number)))
        cached = [header for header in headers if authenticator.cached_identity(header) is not None]
        assert cached == headers[3:]
        assert (len(authenticator._cached), len(authenticator._rejected), len(authenticator._checks)) == (5, 5, 0)

    asyncio.run(main())


def test_no_token_is_cached(source: Source, authenticator: Authenticator) -> None:
    """The authenticator's cache contains neither a token nor its header."""
    header, _ = source.make()

    async def main() -> None:
        await authenticator.authenticate(header)
        await refusal(authenticator.authenticate(UNKNOWN))

    asyncio.run(main())
    state = repr(vars(authenticator))
    assert header.decode()[11:] not in state
    assert "A" * 22 not in state
