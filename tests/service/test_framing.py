"""Whatever way a request takes through the server, and whatever is wrong with it, it is answered alike."""

import asyncio
import re
from collections.abc import Iterator

import pytest

from tests.service.framing import DIGEST, Outcome, Way, Ways, Writer, differences, ways

GET = f"GET /v1/tables/{DIGEST}/manifest HTTP/1.1\r\nHost: localhost\r\n".encode()  # short: answered at once
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
SPEC = b'{"schedule": {"kind": "Constant", "value": -1}, "total_steps": 9}'
POST = b"POST /v1/tables HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(SPEC)


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    """Every way into a server with a table in memory."""
    with ways(tmp_path_factory.mktemp("ways")) as found:
        yield found


def answered(way: Way, *parts: bytes) -> Outcome:
    return asyncio.run(way.answer(list(parts)))[0]


def test_every_way_answers_alike(every: Ways) -> None:
    """Connections written at random get the same responses on each way; python -m tests.service.framing.

    The fast path leaves out the X-Request-ID that the application makes, unless the log has a line for each request.
    """
    assert list(differences(every.fast, every.slow, count=500, seed=7, every_id=False)) == []
    assert list(differences(every.logged, every.slow, count=500, seed=9, every_id=True)) == []


def test_an_upgrade_changes_nothing(every: Ways) -> None:
    """A server may pass an Upgrade over (RFC 9110, section 7.8): all is answered as if it were not there."""
    writer = Writer(8)
    for data in (b"".join(writer.connection()) for _ in range(500)):
        without = re.sub(rb"\r\nUpgrade: [^\r\n]*", b"", data)
        for way in every:
            assert answered(way, data) == answered(way, without), data


@pytest.mark.parametrize("upgrade", [UPGRADE, b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"])
def test_requests_behind_an_upgrade_are_answered(every: Ways, upgrade: bytes) -> None:
    """What follows a request with an Upgrade in the same packet is a request, and its body a body."""
    one = GET + upgrade + b"\r\n"
    for way in every:
        assert answered(way, one + one + GET + b"\r\n") == Outcome((200, 200, 200), ended=False)
        body = one.replace(b"GET", b"PUT") + GET + b"Content-Length: 3\r\n" + upgrade + b"\r\nabc" + GET + b"\r\n"
        assert answered(way, body).statuses[1:] == (200, 200)


def test_the_body_of_a_request_with_an_upgrade_is_read(every: Ways) -> None:
    """As Java's client sends it: the body belongs to the request, and is no request of its own."""
    inner = GET + b"\r\n"
    smuggled = POST.replace(b"application/json", b"text/plain") + b"Content-Length: %d\r\n" % len(inner)
    for way in every:
        assert answered(way, smuggled + UPGRADE + b"\r\n" + inner) == Outcome((415,), ended=False)


@pytest.mark.parametrize(
    "late", [b"Transfer-Encoding: chunked\r\n\r\nx\r\n", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n"]
)
def test_a_late_framing_error_has_one_answer(every: Ways, late: bytes) -> None:
    """A body that is no HTTP is answered 400 on both ways, and nothing else is."""
    for way in every:
        assert answered(way, GET + late) == Outcome((400,), ended=True)


def test_what_came_before_an_error_is_answered_first(every: Ways) -> None:
    """Requests sent ahead of one that is no HTTP are answered in their order; then it is, and nothing after it."""
    slow = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for wrong in (
        b"nonsense\r\n\r\n",
        GET + b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
        slow.replace(b"localhost", b"e.x"),
    ):
        for before in ([], [slow], [GET + b"\r\n"], [slow, GET + b"\r\n", slow], [GET + b"\r\n", slow]):
            status = 421 if b"e.x" in wrong else 400
            for way in every:
                outcome = answered(way, b"".join([*before, wrong, slow]))
                assert outcome == Outcome((*(200 for _ in before), status), ended=True)


def test_each_request_names_a_host_of_the_server(every: Ways) -> None:
    """A host that is let through does so for its own request alone; an empty one is refused."""
    one = GET + b"\r\n"
    for host, status in [(b"evil.example", 421), (b"", 421), (b"127.0.0.1:80", 200), (b"[::1]", 200)]:
        other = one.replace(b"localhost", host)
        for way in every:
            assert answered(way, other).statuses == (status,)
            assert answered(way, one + other, one + other).statuses[:2] == (200, status)
