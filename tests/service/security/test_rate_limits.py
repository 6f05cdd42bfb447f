"""Rate limits: a token gets all that its limits allow, and never more."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import RateLimitedError
from service.security.rate_limits import Account, Bucket, Limiter
from service.security.tokens import Identity, Limits

RATES = st.floats(0.001, 1e6)
PAUSES = st.lists(st.floats(0.0, 100.0), min_size=1, max_size=60)
SIZES = st.lists(st.tuples(st.floats(0.0, 10.0), st.integers(0, 10**7)), min_size=1, max_size=60)
STARTS = st.floats(0.0, 1e8)


class Time:
    """A clock that is set by hand."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def admits(account: Account, now: float) -> bool:
    try:
        account.admit(now)
    except RateLimitedError:
        return False
    return True


@given(rate=RATES, start=STARTS, pauses=PAUSES)
def test_no_window_has_more_requests_than_allowed(rate: float, start: float, pauses: list[float]) -> None:
    """In every time window at most burst + rate x seconds requests are admitted."""
    account = Account(Limits(requests_per_second=rate), start)
    now, admitted = start, []
    for pause in pauses:
        now += pause / rate / 10
        admitted += [now] * admits(account, now)
    burst = max(1.0, 2.0 * rate)
    for first, since in enumerate(admitted):
        for last, until in enumerate(admitted[first:], start=first):
            assert last - first + 1 <= burst + rate * (until - since) + 1e-3 * (1 + rate * 1e-3)


@given(rate=RATES, start=STARTS, pauses=PAUSES)
def test_requests_below_the_rate_are_never_rejected(rate: float, start: float, pauses: list[float]) -> None:
    """Requests that are at least 1/rate apart are all admitted."""
    account = Account(Limits(requests_per_second=rate), start)
    now = start
    for pause in pauses:
        assert admits(account, now)
        now += (1.0 + pause) / rate


@given(rate=RATES, start=STARTS, sizes=SIZES)
def test_a_request_after_the_named_wait_is_admitted(rate: float, start: float, sizes: list[tuple[float, int]]) -> None:
    """A request is admitted after the number of seconds in the error."""
    account = Account(Limits(bytes_per_second=max(1.0, rate)), start)
    now = start
    for pause, size in sizes:
        now += pause
        try:
            account.admit(now)
        except RateLimitedError as error:
            now += error.retry_after
            account.admit(now)
        account.charge(size, now)


@given(rate=st.floats(1.0, 1e9), start=STARTS, sizes=SIZES)
def test_bytes_exceed_the_rate_by_one_answer_at_most(rate: float, start: float, sizes: list[tuple[float, int]]) -> None:
    """At most burst + rate x seconds bytes are sent, except for the last response, which started with credit."""
    account = Account(Limits(bytes_per_second=rate), start)
    now, sent = start, 0
    for pause, size in sizes:
        now += pause
        if admits(account, now):
            assert sent <= (2.0 + now - start) * rate * (1 + 1e-6) + 1.0
            account.charge(size, now)
            sent += size


@given(rate=RATES, start=STARTS, taken=st.floats(0, 1e6), asked=st.floats(0, 1e6))
def test_a_wait_is_finite_and_not_negative(rate: float, start: float, taken: float, asked: float) -> None:
    """A wait is a finite number of seconds from 0."""
    bucket = Bucket(rate, rate, start)
    bucket.take(taken, start)
    wait = bucket.wait(asked, start)
    assert 0.0 <= wait < math.inf
    assert bucket.wait(asked, start + wait) == pytest.approx(0.0, abs=1e-3)


def test_a_rejection_names_the_limit_and_the_wait() -> None:
    """The error has the limit and its value; the wait is rounded up to whole seconds."""
    account = Account(Limits(requests_per_second=0.5), 0.0)
    account.admit(0.0)
    with pytest.raises(
        RateLimitedError, match=r"requests_per_second is 0\.5 for this token: retry in 1\.9 s"
    ) as caught:
        account.admit(0.1)
    assert caught.value.retry_after == 2


def test_negative_byte_credit_rejects_the_next_request() -> None:
    """A response larger than the credit is sent; the next request must wait until the credit is positive."""
    account = Account(Limits(bytes_per_second=1e6), 0.0)
    account.admit(0.0)
    account.charge(8_000_000, 0.0)
    with pytest.raises(RateLimitedError, match=r"bytes_per_second is 1e\+06 for this token: retry in 6 s") as caught:
        account.admit(0.0)
    assert caught.value.retry_after == 6
    account.admit(6.0)


def test_a_rejected_request_is_not_charged() -> None:
    """Retrying too early does not make the wait longer."""
    account = Account(Limits(requests_per_second=1.0), 0.0)
    assert [admits(account, 0.0) for _ in range(20)] == [True] * 2 + [False] * 18
    assert admits(account, 1.0)


def identity(token_id: str, **limits: float) -> Identity:
    return Identity(token_id, "name", ("read",), limits=Limits.model_validate(limits))


def test_an_account_lasts_as_long_as_its_limits() -> None:
    """A token that is read from the database again has the same account; one with changed limits gets a new one."""
    limiter = Limiter(Time())
    account = limiter.account(identity("a", requests_per_second=1))
    assert limiter.account(identity("a", requests_per_second=1)) is account
    assert limiter.account(identity("b", requests_per_second=1)) is not account
    assert limiter.account(identity("a", requests_per_second=2)) is not account


def test_accounts_are_bounded() -> None:
    """Beyond 10,000 accounts, the least recently used one is evicted."""
    limiter = Limiter(Time())
    first, second = (limiter.account(identity(name, requests_per_second=1)) for name in ("first", "second"))
    for number in range(9_999):
        assert limiter.account(identity("first", requests_per_second=1)) is first
        limiter.account(identity(str(number), requests_per_second=1))
    assert limiter.account(identity("first", requests_per_second=1)) is first
    assert limiter.account(identity("second", requests_per_second=1)) is not second
