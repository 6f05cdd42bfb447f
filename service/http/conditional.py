"""Content negotiation (RFC 9110, section 12.5.1) and conditional requests (sections 13.1.1 and 13.1.2)."""

from __future__ import annotations

import re
from functools import lru_cache

_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")
_TAG = re.compile(rb'(?:^|,)[ \t]*(W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?=,|\Z)')
_LONGEST = 256  # characters of an Accept header that is cached


def preferred(accept: str, offered: tuple[str, ...]) -> str | None:
    """Return the offered media type with the highest quality in an Accept header; None if it accepts none of them.

    The first of equals wins. The most specific range that matches a type decides its quality. A missing or empty
    header accepts everything. A range whose q is not a number from 0 to 1 is ignored.
    """
    return (_cached if len(accept) <= _LONGEST else _preferred)(accept, offered)


def _preferred(accept: str, offered: tuple[str, ...]) -> str | None:
    if not accept.strip():
        return offered[0]
    ranges = dict(filter(None, map(_range, accept.split(","))))
    best = max(offered, key=lambda media_type: _quality(media_type, ranges))
    return best if _quality(best, ranges) > 0 else None


_cached = lru_cache(256)(_preferred)


def _range(text: str) -> tuple[str, float] | None:
    media_range, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return (media_range, float(value)) if _QUALITY.fullmatch(value.strip()) else None
    return media_range, 1.0


def _quality(media_type: str, ranges: dict[str, float]) -> float:
    wildcard = media_type.partition("/")[0] + "/*"
    return next((ranges[name] for name in (media_type, wildcard, "*/*") if name in ranges), 0.0)


def is_not_modified(if_none_match: bytes, etag: bytes) -> bool:
    """Return whether an If-None-Match header matches this entity tag: alone, in a list, as a weak tag, or by `*`."""
    return if_none_match in (etag, b"*") or any(tag == etag for _, tag in _TAG.findall(if_none_match))


def precondition_holds(if_match: bytes, etag: bytes) -> bool:
    """Return whether an If-Match header matches this entity tag: alone, in a list, or by `*`. A weak tag never does."""
    return if_match in (etag, b"*") or (b"", etag) in _TAG.findall(if_match)
