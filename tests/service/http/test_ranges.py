"""Ranges of bytes."""

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
def test_one_range_is_a_part(header: bytes, places: range) -> None:
    """A range has its first and its last byte, or is open at one end; past the body's end it stops there."""
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
def test_what_is_no_range_is_ignored(header: bytes) -> None:
    """Several ranges, another unit, what is malformed and absurd numbers are ignored: all of the body is sent."""
    assert parse_range(header, 10) is None


@pytest.mark.parametrize("header", [b"bytes=10-", b"bytes=10-20", b"bytes=-0", b"bytes=999999999999999999-"])
def test_a_range_without_a_byte_is_refused(header: bytes) -> None:
    """A range that begins past the end, or is of the last 0 bytes, cannot be served."""
    with pytest.raises(RangeNotSatisfiableError, match="within the 10 bytes"):
        parse_range(header, 10)
