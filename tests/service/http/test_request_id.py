"""Request IDs and trace IDs."""

import re

import pytest

from service.http.request_id import request_id, trace_id

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def sent(name: str, *values: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"localhost"), *((name.encode(), value.encode("latin-1")) for value in values)]


@pytest.mark.parametrize("given", ["a", "team-a_job.42", "0" * 64])
def test_a_valid_id_of_the_client_is_used(given: str) -> None:
    """The ID that the client sends is the request's ID."""
    assert request_id(sent("x-request-id", given)) == given


@pytest.mark.parametrize("given", ["", " ", "a b", "a\nb", "ä", "0" * 65, '"}'])
def test_an_invalid_id_is_replaced(given: str) -> None:
    """An ID that could break a log line, or fill it, is replaced."""
    assert re.fullmatch(r"[0-9a-f]{8}-\d+", request_id(sent("x-request-id", given)))


def test_new_ids_differ() -> None:
    """Each request without an ID gets a new one."""
    assert len({request_id([]) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(f"00-{TRACE}-{PARENT}-01", id="sampled"),
        pytest.param(f"00-{TRACE}-{PARENT}-00", id="not-sampled"),
        pytest.param(f"00-{TRACE}-{PARENT}-ff", id="unknown-flags"),
        pytest.param(f"01-{TRACE}-{PARENT}-01", id="later-version"),
        pytest.param(f"cc-{TRACE}-{PARENT}-01-what-the-future-brings", id="later-version-says-more"),
    ],
)
def test_a_valid_traceparent_has_a_trace_id(header: str) -> None:
    """The trace ID of a valid `traceparent` is the request's."""
    assert trace_id(sent("traceparent", header)) == TRACE


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("", id="empty"),
        pytest.param(f"00-{TRACE}-{PARENT}", id="no-flags"),
        pytest.param(f"00-{TRACE}-{PARENT}-01-more", id="version-0-says-more"),
        pytest.param(f"00-{TRACE}-{PARENT}-01-", id="version-0-with-a-dash"),
        pytest.param(f"01-{TRACE}-{PARENT}-01.more", id="no-dash-before-more"),
        pytest.param(f"ff-{TRACE}-{PARENT}-01", id="version-ff"),
        pytest.param(f"0-{TRACE}-{PARENT}-01", id="short-version"),
        pytest.param(f"00-{'0' * 32}-{PARENT}-01", id="no-trace"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", id="no-parent"),
        pytest.param(f"00-{TRACE[:-1]}-{PARENT}-01", id="short-trace"),
        pytest.param(f"00-{TRACE}0-{PARENT}-01", id="long-trace"),
        pytest.param(f"00-{TRACE.upper()}-{PARENT}-01", id="capitals"),
        pytest.param(f"00-{TRACE}-{PARENT}-1", id="short-flags"),
        pytest.param(f"00-{TRACE}-{PARENT}-0g", id="no-hexadecimal"),
        pytest.param(f"00-{TRACE}-{PARENT}-01\n", id="line-end"),
    ],
)
def test_an_invalid_traceparent_is_ignored(header: str) -> None:
    """A `traceparent` outside the grammar of W3C Trace Context has no trace ID."""
    assert trace_id(sent("traceparent", header)) is None


def test_a_request_has_at_most_one_trace() -> None:
    """Without `traceparent`, or with two, a request has no trace ID."""
    header = f"00-{TRACE}-{PARENT}-01"
    assert trace_id(sent("traceparent")) is None
    assert trace_id(sent("traceparent", header, header)) is None
