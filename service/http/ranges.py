"""Byte range requests (RFC 9110, section 14)."""

from __future__ import annotations

import re

from service.errors import FieldError, RangeNotSatisfiableError, abbreviate

_ONE_RANGE = re.compile(rb"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.IGNORECASE)


def parse_range(header: bytes, length: int) -> range | None:
    """Return the offsets of the requested bytes in a body of `length` bytes; None for the whole body.

    A header is ignored, as section 14.2 allows, if it has another unit, several ranges, no range, a range that ends
    before it starts, or a number of more than 18 digits. Raises `RangeNotSatisfiableError` for an empty range: one that
    starts past the end, or asks for the last 0 bytes.
    """
    match = _ONE_RANGE.fullmatch(header)
    if match is None or match[1] == match[2] == b"":
        return None
    if not match[1]:
        places = range(max(length - int(match[2]), 0), length)
    elif match[2] and int(match[2]) < int(match[1]):
        return None
    else:
        places = range(int(match[1]), min(int(match[2]) + 1, length) if match[2] else length)
    if not places:
        raise _empty(header, length)
    return places


def _empty(header: bytes, length: int) -> RangeNotSatisfiableError:
    value = header.decode("latin-1")
    detail = f"the range must start within the body's {length} bytes, got {abbreviate(value)!r}"
    return RangeNotSatisfiableError(detail, [FieldError(detail, parameter="range", value=value)])
