"""Rate limits of tokens."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from service.errors import RateLimitedError
from service.security.tokens import Identity, Limits

_BURST_SECONDS = 2.0  # credit that may accumulate, in seconds of the rate
_MOST_ACCOUNTS = 10_000
_ROUNDING = 1e-6  # seconds: rounding error of summed times

Clock = Callable[[], float]


class Bucket:
    """A token bucket: credit grows by `rate` per second up to `burst`, and may become negative.

    Its only state is the time at which the credit is or was zero.
    """

    __slots__ = ("_burst_seconds", "_rate", "_zero_at")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst_seconds = burst / rate
        self._zero_at = now - self._burst_seconds

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until there is credit for this amount; 0 if there is now."""
        wait = self._zero_at + amount / self._rate - now
        return wait if wait > _ROUNDING else 0.0

    def take(self, amount: float, now: float) -> None:
        """Spend an amount, even without credit for it."""
        self._zero_at = max(self._zero_at, now - self._burst_seconds) + amount / self._rate


class Account:
    """The credit of one token: requests are charged when they arrive, bytes when they are sent."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self._requests = _bucket(limits.requests_per_second, 1.0, now)
        self._bytes = _bucket(limits.bytes_per_second, 0.0, now)

    @property
    def counts_bytes(self) -> bool:
        """Whether the bytes of responses must be charged."""
        return self._bytes is not None

    def admit(self, now: float) -> None:
        """Charge for one request. Raises `RateLimitedError` if its rate is exceeded, or byte credit is negative."""
        if self._bytes is not None:
            _check(self._bytes.wait(0.0, now), "bytes_per_second", self.limits.bytes_per_second)
        if self._requests is not None:
            _check(self._requests.wait(1.0, now), "requests_per_second", self.limits.requests_per_second)
            self._requests.take(1.0, now)

    def charge(self, nbytes: int, now: float) -> None:
        """Charge for the bytes of a response."""
        if self._bytes is not None:
            self._bytes.take(nbytes, now)


def _bucket(rate: float | None, least_burst: float, now: float) -> Bucket | None:
    return None if rate is None else Bucket(rate, max(rate * _BURST_SECONDS, least_burst), now)


def _check(wait: float, name: str, limit: float | None) -> None:
    if wait > 0:
        raise RateLimitedError(f"{name} is {limit:g} for this token: retry in {wait:.3g} s", math.ceil(wait))


class Limiter:
    """The accounts of all tokens with rate limits: at most 10,000, the least recently used one is evicted."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self._accounts: OrderedDict[str, Account] = OrderedDict()

    def account(self, identity: Identity) -> Account:
        """Return the token's account; a new one if its limits have changed."""
        account = self._accounts.get(identity.token_id)
        if account is None or account.limits != identity.limits:
            account = self._accounts[identity.token_id] = Account(identity.limits, self.clock())
        self._accounts.move_to_end(identity.token_id)
        if len(self._accounts) > _MOST_ACCOUNTS:
            self._accounts.popitem(last=False)
        return account
