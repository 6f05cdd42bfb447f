"""Byte ranges in Range headers."""

import pytest

from service.errors import RangeNotSatisfiableError
from service.http.ranges import parse_range


@pytest.mark.parametrize(
    ("header", "places"),
    [
        (b"bytes=0-0", range(1)),
        (b"bytes=2-4", range(2, 5)),
        (b"bytes=2-", range(2, 10)),
        (b"bytes=9-", range(9, 10)),
        (b"bytes=-3", range(7, 10)),
        (b"bytes=-99", range(10)),
        (b"bytes=4-99", range(4, 10)),
        (b"BYTES= 0-1 ", range(2)),
        (b"bytes=0-999999999999999999", range(10)),
        (b"bytes=007-008", range(7, 9)),
    ],
)
def test_a_single_range_is_parsed(header: bytes, places: range) -> None:
    """A range has a first and a last byte, or is open at one end; it stops at the end of the body."""
    assert parse_range(header, 10) == places


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"bytes",
        b"bytes=",
        b"bytes=-",
        b"bytes=a-b",
        b"bytes=1",
        b"bytes=4-2",
        b"bytes=0-1,4-5",
        b"bytes=--1",
        b"bytes=-1-",
        b"items=0-1",
        b"bytes=0-1000000000000000000",
        b"bytes=" + b"9" * 10_000 + b"-",
        "bytes=٠-١".encode(),
    ],
)
def test_an_unsupported_range_is_ignored(header: bytes) -> None:
    """Several ranges, another unit, malformed ranges and absurd numbers are ignored: the whole body is sent."""
    assert parse_range(header, 10) is None


@pytest.mark.parametrize("header", [b"bytes=10-", b"bytes=10-20", b"bytes=-0", b"bytes=999999999999999999-"])
def test_an_empty_range_is_rejected(header: bytes) -> None:
    """A range that starts past the end, or asks for the last 0 bytes, is not satisfiable."""
    with pytest.raises(RangeNotSatisfiableError, match="within the body's 10 bytes"):
        parse_range(header, 10)
