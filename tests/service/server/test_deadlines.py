"""The deadlines of connections, without a connection and without waiting: time and bytes are passed in."""

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.server.deadlines import (
    MIN_BYTES_PER_SECOND,
    Deadlines,
    DeadlineTimer,
    Ending,
    Progress,
    SweepClock,
    Wait,
    ending,
)
from service.settings import Settings

SECONDS = {Wait.REQUEST: 7.0, Wait.HEADERS: 5.0, Wait.BODY: 6.0, Wait.READING: 8.0, Wait.LEAVING: 2.0}
DEADLINES = Deadlines(SECONDS, drain_seconds=10.0)
A, B = object(), object()  # requests
IDLE = Progress(False, False, False, False, False, None)
AT = {
    Wait.REQUEST: IDLE,
    Wait.HEADERS: IDLE._replace(is_within_headers=True),
    Wait.BODY: IDLE._replace(is_responding=True, awaits_body=True),
    Wait.READING: IDLE._replace(has_unsent_bytes=True),
    Wait.LEAVING: IDLE._replace(is_refused=True),
}
"""How a connection is that waits for this."""
BUSY = IDLE._replace(is_responding=True)
lapses = st.lists(st.floats(0, 3), max_size=30)


def unasked() -> int:
    raise AssertionError("a system call for nothing")


def missed(timer: DeadlineTimer, progress: Progress, elapsed: float, moved: int = 0) -> Wait | None:
    return timer.missed(progress, elapsed, lambda: moved)


@pytest.mark.parametrize(
    ("progress", "wait"),
    [
        (IDLE, Wait.REQUEST),
        (IDLE._replace(is_within_headers=True), Wait.HEADERS),
        (IDLE._replace(is_responding=True), None),
        (IDLE._replace(is_responding=True, is_within_headers=True), None),
        (IDLE._replace(is_responding=True, awaits_body=True), Wait.BODY),
        (IDLE._replace(is_responding=True, is_refused=True), None),
        (IDLE._replace(is_refused=True), Wait.LEAVING),
        (IDLE._replace(is_refused=True, is_within_headers=True), Wait.LEAVING),
        (IDLE._replace(has_unsent_bytes=True), Wait.READING),
        (Progress(True, True, True, True, True, A), Wait.READING),
    ],
)
def test_what_a_connection_waits_for(progress: Progress, wait: Wait | None) -> None:
    """A client first has to take what was sent, then send the body, then leave, or go on with the next request."""
    assert progress.wait is wait


@pytest.mark.parametrize("wait", Wait)
@given(lapses)
def test_a_deadline_is_missed_when_its_seconds_are_over(wait: Wait, elapsed: list[float]) -> None:
    """From the first look on, a wait lasts as many seconds as its deadline says; no earlier look is too late."""
    timer = DeadlineTimer(DEADLINES)
    assert missed(timer, AT[wait], 100.0) is None
    for one, total in zip(elapsed, accumulate(elapsed), strict=True):
        assert missed(timer, AT[wait], one) == (wait if total >= SECONDS[wait] else None)


@pytest.mark.parametrize("wait", [Wait.BODY, Wait.READING])
@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 2**16)), max_size=30))
def test_bytes_extend_a_deadline(wait: Wait, looks: list[tuple[float, int]]) -> None:
    """Each 4 KiB that move are worth a second, but cannot be saved up for later."""
    timer, waited, moved = DeadlineTimer(DEADLINES), 0.0, 1000
    missed(timer, AT[wait], 0.0, moved)
    for elapsed, more in looks:
        moved += more
        waited = max(0.0, waited + elapsed - more / MIN_BYTES_PER_SECOND)
        assert missed(timer, AT[wait], elapsed, moved) == (wait if waited >= SECONDS[wait] else None)


@pytest.mark.parametrize("wait", [Wait.BODY, Wait.READING])
@given(lapses)
def test_who_keeps_up_is_never_late(wait: Wait, elapsed: list[float]) -> None:
    """A client that moves 4 KiB a second may take as long as it likes."""
    timer, moved = DeadlineTimer(DEADLINES), 0.0
    for one in elapsed * 10:
        moved += one * MIN_BYTES_PER_SECOND + 1
        assert missed(timer, AT[wait], one, int(moved)) is None


@pytest.mark.parametrize("wait", [Wait.REQUEST, Wait.HEADERS, Wait.LEAVING])
def test_bytes_are_only_counted_where_they_matter(wait: Wait) -> None:
    """Dripped headers are no progress, and their bytes are not asked for."""
    timer = DeadlineTimer(DEADLINES)
    assert timer.missed(AT[wait], 0.0, unasked) is None
    assert timer.missed(AT[wait], SECONDS[wait], unasked) is wait


@given(lapses, st.floats(0, 1e6))
def test_the_servers_turn_does_not_count(elapsed: list[float], busy: float) -> None:
    """While the server has to do something, time stands still for its client; it neither counts nor starts anew."""
    timer, alone = DeadlineTimer(DEADLINES), DeadlineTimer(DEADLINES)
    for one in [0.0, *elapsed]:
        assert missed(timer, BUSY, busy) is None
        assert missed(timer, AT[Wait.BODY], one) == missed(alone, AT[Wait.BODY], one)


@pytest.mark.parametrize("wait", [Wait.REQUEST, Wait.HEADERS, Wait.BODY])
def test_another_request_starts_anew(wait: Wait) -> None:
    """What one request took of its time is not missing for the next one."""
    timer = DeadlineTimer(DEADLINES)
    missed(timer, AT[wait]._replace(request=A), 0.0)
    assert missed(timer, AT[wait]._replace(request=A), SECONDS[wait] - 0.5) is None
    assert missed(timer, AT[wait]._replace(request=B), 100.0) is None
    assert missed(timer, AT[wait]._replace(request=B), SECONDS[wait] - 0.5) is None
    assert missed(timer, AT[wait]._replace(request=B), 0.5) is wait


@pytest.mark.parametrize("wait", [Wait.READING, Wait.LEAVING])
def test_more_requests_do_not_prolong_reading(wait: Wait) -> None:
    """Who takes nothing, and asks for more, is as late as who only takes nothing."""
    timer = DeadlineTimer(DEADLINES)
    missed(timer, AT[wait]._replace(request=A), 0.0)
    assert missed(timer, AT[wait]._replace(request=B), SECONDS[wait]) is wait


steps = st.tuples(st.sampled_from([*AT.values(), BUSY]), st.sampled_from([A, B]), st.floats(0, 3))


@given(st.lists(steps, max_size=60))
def test_nobody_is_late_before_a_whole_deadline(looks: list[tuple[Progress, object, float]]) -> None:
    """Whatever happens on a connection, what is late has been the wait for all the seconds of its deadline."""
    timer, seconds = DeadlineTimer(DEADLINES), 0.0
    last: Wait | None = None
    for progress, request, elapsed in looks:
        wait = progress.wait
        if wait is not None:
            seconds = seconds + elapsed if wait is last else 0.0
            last = wait
        if (late := missed(timer, progress._replace(request=request), elapsed)) is not None:
            assert (late, seconds >= SECONDS[late]) == (wait, True)


@pytest.mark.parametrize(
    ("wait", "started", "how"),
    [
        (Wait.REQUEST, True, Ending.CLOSE),
        (Wait.HEADERS, True, Ending.EXPLAIN),
        (Wait.HEADERS, False, Ending.EXPLAIN),
        (Wait.BODY, False, Ending.EXPLAIN),
        (Wait.BODY, True, Ending.ABORT),
        (Wait.READING, True, Ending.ABORT),
        (Wait.LEAVING, True, Ending.ABORT),
    ],
)
def test_how_a_late_connection_ends(wait: Wait, started: bool, how: Ending) -> None:
    """Who is late is told so where that is still a response of its own, and idle connections are just closed."""
    assert ending(wait, response_started=started) is how


@pytest.mark.parametrize(
    ("settings", "interval"),
    [({}, 0.5), ({"header_seconds": 600, "body_seconds": 600}, 1.0), ({"drain_seconds": 2}, 0.1)],
)
def test_the_shortest_deadline_decides_how_often_is_looked(settings: dict[str, Any], interval: float) -> None:
    """A deadline is kept to a twentieth of it, and looked at once a second at least."""
    assert Deadlines.of(Settings(**settings)).sweep_interval == pytest.approx(interval)


def test_settings_are_deadlines() -> None:
    """Each deadline is a setting; only the time for leaving is fixed."""
    settings = Settings(idle_seconds=1, header_seconds=2, body_seconds=3, send_seconds=4, drain_seconds=5)
    found = Deadlines.of(settings)
    assert found.drain_seconds == 5
    assert {wait.value: seconds for wait, seconds in found.seconds.items()} == {
        **{"idle": 1, "headers": 2, "body": 3, "send": 4, "leave": 2}
    }


@given(st.lists(st.floats(0, 1000), max_size=30), st.floats(0, 1e6))
def test_a_server_that_stood_still_counts_two_sweeps(lapses: list[float], begin: float) -> None:
    """However long the server itself took, a sweep counts no more than two intervals against its clients."""
    clock, now = SweepClock(DEADLINES), begin
    clock.begin(now)
    interval = DEADLINES.sweep_interval
    for lapse in lapses:
        assert clock.next_at == now + interval
        before, now = now, now + lapse
        assert clock.sweep(now) == min(now - before, 2 * interval)


def test_draining_ends_before_drain_seconds_do() -> None:
    """What is left is ended a little before the time is over, counted from the first time that it was said."""
    clock = SweepClock(DEADLINES)
    assert not clock.is_over(1e9)
    clock.drain(100.0)
    clock.drain(105.0)
    assert [clock.is_over(now) for now in (108.9, 109.0, 110.0)] == [False, True, True]
