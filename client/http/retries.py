"""When a failed request is tried again: pauses with full jitter, `Retry-After`, and a budget for a whole client."""

from __future__ import annotations

import logging
import random
import re
import time
from email.utils import parsedate_to_datetime

from client.errors import (
    ClientError,
    DeadlineExceededError,
    RequestRefusedError,
    ServiceUnreachableError,
)
from client.http.connections import NotBegunError, RefusedError, UnknownHostError

# Seconds: the most that is waited after the first failure, and after any. Of n clients that a service was away from for
# long, those that come in the first second after are 2 n / 15 at most, if each drew any pause up to the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 15.0
_LAST = (0.5, 0.9)  # of the time that is left, where it is too short for a pause: then the last attempt begins
_BUSY = (429, 503)
_TOO_LATE = "the deadline came after"
_CHECK = (
    "nobody listens there: check the address (LRTABLES_URL) and its port, that `lrtables serve` is running, and its "
    "--host, since 127.0.0.1 is for its own machine alone"
)
_CHECK_NAME = (
    "the host's name is not known: check its spelling in the address (LRTABLES_URL), and that this machine's DNS has it"
)
_SECONDS = re.compile(r"[0-9]{1,10}")

_logger = logging.getLogger(__name__)
# Not the shared generator: training scripts seed it, alike on every rank, and count on its sequence.
_uniform = random.SystemRandom().uniform


class RetryBudget:
    """How many attempts a client may repeat soon: ten at once, and one more every 6 seconds.

    Without it, many calls that fail together would knock all the faster. A client that has spent its budget
    still retries, but waits 7.5 to 15 seconds each time, so that a service that comes back is not met by a herd. No
    lock is held; two threads that take the last attempt at once may both have it.
    """

    SIZE = 10
    SECONDS = 6.0

    def __init__(self) -> None:
        self._spent_until = 0.0  # the time at which the whole budget is there again

    def take(self) -> bool:
        """Take one attempt. Returns whether there was one."""
        now = time.monotonic()
        spent_until = max(self._spent_until, now) + self.SECONDS
        if spent_until - now > self.SIZE * self.SECONDS:
            return False
        self._spent_until = spent_until
        return True


class Retries:
    """The attempts of one call.

    Args:
        budget: of the client.
        deadline: of the call, on the clock `time.monotonic`.
        patience: seconds for which refused connections are tried again, from the first of them on.
        is_new: whether the service has never answered this client. Then the host's name may be wrong: one that is not
            known is tried for no longer than a refused connection, and the error says what to check.
    """

    def __init__(self, budget: RetryBudget, deadline: float, patience: float, *, is_new: bool = False) -> None:
        self._is_new = is_new
        self._budget = budget
        self._deadline = deadline
        self._patience = patience
        self._began = time.monotonic()
        self._attempts = 0
        self._end_of_last: float | None = None  # the end before which the last attempt is made
        self._refused_since: float | None = None
        self._last: ClientError | None = None

    def wait(self, latest: ClientError) -> None:
        """Pause after a failed attempt. Raises the error where no other attempt is to be made."""
        try:
            self._wait(latest)
        except ClientError:
            self._last = None  # else the error and the frames that it came through would keep each other alive
            raise
        finally:
            del latest

    def _wait(self, latest: ClientError) -> None:
        # an attempt that had no time left says nothing: the one before it does
        error = self._last if self._last is not None and isinstance(latest.__cause__, NotBegunError) else latest
        self._last = error
        after = _after(error)
        if after is None:
            try:
                raise error
            finally:
                del error, latest
        self._attempts += 1
        end = min(self._deadline, self._end_of_patience(latest))
        left = end - time.monotonic()
        if end == self._end_of_last or after >= left:
            self._give_up(error, is_impatient=end < self._deadline)
        pause = after + self._jitter()
        if pause >= left:  # too long by chance: time that is left is not given away
            pause, self._end_of_last = after + _uniform(*_LAST) * (left - after), end
        _logger.warning("%s; trying again in %.1f s", str(error), pause)  # its text: handlers may keep what they log
        time.sleep(pause)

    def _jitter(self) -> float:
        """Full jitter: any pause up to a bound that doubles; the longest ones where the budget is spent.

        From the second failure on the bound is at least the time that the call has taken. Attempts that each waited
        for seconds are few, and many clients whose connections break together must not all be back in the same second.
        """
        if not self._budget.take():
            return _uniform(_LONGEST_PAUSE / 2, _LONGEST_PAUSE)
        bound = _FIRST_PAUSE * 2.0 ** min(self._attempts - 1, 10)
        if self._attempts > 1:
            bound = max(bound, time.monotonic() - self._began)
        return _uniform(0.0, min(_LONGEST_PAUSE, bound))

    def _end_of_patience(self, error: ClientError) -> float:
        is_unknown = self._is_new and isinstance(error.__cause__, UnknownHostError)
        if not is_unknown and not isinstance(error.__cause__, RefusedError):
            self._refused_since = None
            return self._deadline
        if self._refused_since is None:
            self._refused_since = time.monotonic()
        return self._refused_since + self._patience

    def _give_up(self, error: ClientError, *, is_impatient: bool) -> None:
        attempts = f"{self._attempts} {'attempt' if self._attempts == 1 else 'attempts'}"
        is_unknown = isinstance(error.__cause__, UnknownHostError)
        what = "not found" if is_unknown else "refused"
        reason = f"{what} for the {self._patience:g} s of refused_patience, in" if is_impatient else _TOO_LATE
        check = _CHECK_NAME if is_unknown else _CHECK
        advice = f"; {check}" if is_impatient and self._is_new else ""
        kind = ServiceUnreachableError if isinstance(error, ServiceUnreachableError) else DeadlineExceededError
        raise kind(f"{error} ({reason} {attempts}){advice}") from error


def full_jitter(failures: int, first: float, longest: float) -> float:
    """Any pause, in seconds, up to a bound that begins at `first`, doubles with each failure, and ends at `longest`."""
    return _uniform(0.0, min(longest, first * 2.0 ** min(failures, 10)))


def _after(error: ClientError) -> float | None:
    """Seconds that the service asks to be left alone; None where another attempt would fail in the same way."""
    if isinstance(error, RequestRefusedError):
        return (error.retry_after or 0.0) if error.status in _BUSY else None
    return 0.0 if isinstance(error, (ServiceUnreachableError, DeadlineExceededError)) else None


def retry_after(header: str) -> float | None:
    """Seconds to wait, from a Retry-After header; None where it is malformed, which must not hide the error itself."""
    if _SECONDS.fullmatch(header):
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
