"""When a failed request is tried again, on a clock that a test moves."""

from __future__ import annotations

import logging
from collections import Counter
from itertools import pairwise

import pytest

from client.errors import ClientError, DeadlineExceededError, RequestRefusedError, ServiceUnreachableError
from client.http import retries as module
from client.http.connections import RefusedError
from client.http.retries import Retries, RetryBudget


class Clock:
    """Seconds, of which those that are slept pass at once."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0.0
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    """The clock of the retries."""
    caplog.set_level(logging.ERROR)
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def refused() -> ClientError:
    error = ServiceUnreachableError("nobody listens")
    error.__cause__ = RefusedError()
    return error


def attempts(clock: Clock, error: ClientError, *, deadline: float, patience: float = 1e9) -> list[float]:
    """When each attempt of a call was made, seconds after the first, where all fail with this error."""
    retries = Retries(RetryBudget(), clock.now + deadline, patience)
    made, began = [0.0], clock.now
    while True:
        try:
            retries.wait(error)
        except (DeadlineExceededError, ServiceUnreachableError):
            return made
        made.append(clock.now - began)


@pytest.mark.parametrize("deadline", [0.5, 3.0, 60.0])
def test_a_call_uses_its_deadline(clock: Clock, deadline: float) -> None:
    """The last attempt begins in the last part of the deadline, however long a pause was drawn, and not after it."""
    for _ in range(300):
        *_, before, last = attempts(clock, ServiceUnreachableError("reset"), deadline=deadline)
        assert before + 0.5 * (deadline - before) <= last + 1e-9
        assert last < deadline


def test_a_call_uses_its_patience_with_refused_connections(clock: Clock) -> None:
    """A refused connection is tried again until the patience ends, and not given up early; the deadline is far."""
    ends = [attempts(clock, refused(), deadline=600.0, patience=15.0)[-1] for _ in range(300)]
    assert min(ends) > 7.0
    assert max(ends) < 15.0


def test_patience_that_ended_leaves_the_deadline_to_a_service_that_is_slow(clock: Clock) -> None:
    """Where the last attempt of the patience is not refused, the call goes on until its deadline."""
    retries = Retries(RetryBudget(), clock.now + 60.0, 1.0)
    began = clock.now
    for _ in range(5):
        with_patience = began + 1.0 - clock.now
        retries.wait(refused())
        if clock.now - began > 1.0 - with_patience / 2:
            break
    retries.wait(DeadlineExceededError("no answer"))
    retries.wait(DeadlineExceededError("no answer"))


def test_a_demand_for_more_time_than_is_left_ends_a_call_at_once(clock: Clock) -> None:
    """A service that says when to come again is not asked before that, even where the deadline comes first."""
    busy = RequestRefusedError("http://h/x", 503, b"", 30.0)
    assert attempts(clock, busy, deadline=29.0) == [0.0]
    made = attempts(clock, busy, deadline=65.0)
    assert 2 <= len(made) <= 3
    assert all(after - before >= 30.0 for before, after in pairwise(made))


def test_the_calls_of_many_clients_come_back_one_by_one(clock: Clock) -> None:
    """Of 1,000 clients of a service that was away for 30 s, less than 200 come in any of the next seconds."""
    made = [attempts(clock, ServiceUnreachableError("away"), deadline=90.0) for _ in range(1000)]
    next_ones = [next(at for at in each if at >= 30.0) for each in made]
    in_second = Counter(int(at) for at in next_ones)
    assert max(in_second.values()) < 200
    assert max(next_ones) < 30.0 + 15.0


def test_connections_that_break_together_are_not_made_again_together(clock: Clock) -> None:
    """After three attempts that each waited 10 s, the next one may come at any time of many seconds."""
    pauses = []
    for _ in range(300):
        retries = Retries(RetryBudget(), clock.now + 90.0, 1e9)
        for _ in range(3):
            clock.sleep(10.0)
            before = clock.now
            retries.wait(ServiceUnreachableError("reset"))
        pauses.append(clock.now - before)
    assert max(pauses) > 10.0
    assert sum(pause < 1.0 for pause in pauses) < 60
