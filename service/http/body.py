"""Request bodies: read up to a limit, and JSON that means one thing only."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import Request

from scheduler.texts import lone_surrogate
from service.errors import (
    BodyTooLargeError,
    FieldError,
    MalformedBodyError,
    QueueFullError,
    UnsupportedMediaTypeError,
    abbreviate,
)

SMALL = 16 * 1024
"""Bytes of a body up to which it is parsed at once: a larger one would keep other requests waiting."""

_BODIES = 16  # of the largest size at a time: their specs may take ten times their memory
_MOST_DIGITS = 4300  # of an integer: where Python's own limit is, and pydantic's
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # in JSON that is UTF-8, only an escape makes one


class Bodies:
    """Receives JSON bodies; those of all requests under way together take a bounded amount of memory.

    A body takes its memory as it comes, and keeps it until its request is answered: the spec that was read out of it
    takes some more. Large ones may have 16 times what the largest may have; so much again is left for small ones. An
    instance belongs to one event loop.
    """

    def __init__(self, max_body_bytes: int) -> None:
        self._limit = max_body_bytes
        self._held = 0

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a JSON request, for a `with` block: what is too large is refused before it is read, or while.

        Raises `UnsupportedMediaTypeError`, `BodyTooLargeError`, and `QueueFullError` where others have the memory.
        """
        check_media_type(request, ("application/json",), "JSON in UTF-8")
        body = bytearray()
        try:
            self._check(0, min(_announced(request), self._limit))  # one that cannot be had is not begun
            async for piece in pieces(request, self._limit, "max_body_bytes"):
                self._check(len(body), len(piece))
                self._held += len(piece)
                body += piece
            yield bytes(body)
        finally:
            self._held -= len(body)

    def _check(self, size: int, more: int) -> None:
        """Raise where a body of this size cannot have more."""
        most = _BODIES * self._limit * (1 if size + more > SMALL else 2)
        if self._held + more > most:
            raise QueueFullError(f"{self._held} bytes of requests are under way, as many as this server takes")


def check_media_type(request: Request, media_types: Sequence[str], what: str) -> None:
    """Raise `UnsupportedMediaTypeError` for a body of another type than these, in another charset, or compressed."""
    header = request.headers.get("content-type", "")
    media_type, _, parameters = header.partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if media_type.strip().lower() not in media_types or charset not in ("", "charset=utf-8"):
        detail = f"the body must be {what}, with Content-Type: {' or '.join(media_types)}, got {abbreviate(header)!r}"
        raise UnsupportedMediaTypeError(detail, [FieldError(detail, parameter="content-type", value=header)])
    coding = request.headers.get("content-encoding", "identity")
    if coding.strip().lower() != "identity":
        detail = f"the body must come as it is, without Content-Encoding, got {abbreviate(coding)!r}"
        raise UnsupportedMediaTypeError(detail, [FieldError(detail, parameter="content-encoding", value=coding)])


async def pieces(request: Request, limit: int, setting: str) -> AsyncIterator[bytes]:
    """The body as it comes, at most `limit` bytes, which `setting` sets. Raises `BodyTooLargeError`."""
    _check_size(_announced(request), limit, setting)
    size = 0
    async for piece in request.stream():
        size += len(piece)
        _check_size(size, limit, setting)
        yield piece


def _announced(request: Request) -> int:
    """How many bytes the request says that its body has; 0 where it does not say, or says nothing sensible."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() and len(length) < 20 else 0


def _check_size(size: int, limit: int, setting: str) -> None:
    if size > limit:
        raise BodyTooLargeError(f"the body must be at most {limit} bytes ({setting}), got {size} or more")


class _Refused:
    """What a number or an object turns into where it cannot be taken: found again to say where it stood."""

    def __init__(self, detail: str, value: str) -> None:
        self.detail = detail
        self.value = value


def check_json(body: bytes, *, max_depth: int, max_items: int) -> Any:
    """The JSON data of a body, every object with distinct keys; NaN and Infinity are left to the fields' own checks.

    Raises `MalformedBodyError`: not UTF-8, not JSON, nested deeper than `max_depth`, more than `max_items` members and
    list items (each could become an error of its own), a key twice in one object (which one counts is up to the
    reader), an integer of more than 4,300 digits, a text with half of a surrogate pair (no text is one, in UTF-8).
    """
    refused: list[_Refused] = []

    def refuse(detail: str, value: str) -> _Refused:
        refused.append(_Refused(detail, value))
        return refused[-1]

    def integer(text: str) -> object:
        return int(text) if len(text) <= _MOST_DIGITS else refuse(f"a number of {len(text)} digits", text)

    def pairs(members: list[tuple[str, Any]]) -> object:
        data = dict(members)
        return data if len(data) == len(members) else refuse(*_twice(key for key, _ in members))

    try:
        text = body.decode()
        data = json.loads(text, object_pairs_hook=pairs, parse_int=integer)
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"the body is not UTF-8: {error.reason} at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise MalformedBodyError(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise _too_deep(max_depth) from error
    _check_extent(data, max_depth, max_items)
    if refused:
        errors = [FieldError(item.detail, pointer=pointer(_path(data, item)), value=item.value) for item in refused[:1]]
        raise MalformedBodyError("; ".join(error.detail for error in errors), errors)
    if _SURROGATE.search(text):
        _check_texts(data, [])
    return data


def _check_texts(data: Any, path: list[str | int]) -> None:
    """Raise `MalformedBodyError` for a text or key with half of a surrogate pair, at what holds the key."""
    if isinstance(data, str):
        _check_text(data, path)
    elif isinstance(data, (dict, list)):
        for key, child in data.items() if isinstance(data, dict) else enumerate(data):
            _check_text(str(key), path)
            _check_texts(child, [*path, key])


def _check_text(text: str, path: list[str | int]) -> None:
    if (place := lone_surrogate(text)) is not None:
        detail = f"{abbreviate(text)!r} has half of a surrogate pair, at character {place}"
        raise MalformedBodyError(detail, [FieldError(detail, pointer=pointer(path), value=text)])


def _twice(keys: Iterable[str]) -> tuple[str, str]:
    seen: set[str] = set()
    key = next(key for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # add is None
    return f"the key {abbreviate(key)!r} stands twice in one object", key


def _children(node: Any) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node


def _check_extent(data: Any, max_depth: int, max_items: int) -> None:
    level = [data] if isinstance(data, (dict, list)) else []
    items = 0
    for _ in range(max_depth):
        items += sum(map(len, level))
        if items > max_items:
            raise MalformedBodyError(f"the JSON must have at most {max_items} members and items (max_items)")
        level = [child for node in level for child in _children(node) if isinstance(child, (dict, list))]
        if not level:
            return
    raise _too_deep(max_depth)


def _too_deep(limit: int) -> MalformedBodyError:
    return MalformedBodyError(f"the JSON must be nested at most {limit} deep (max_depth)")


def _path(data: Any, target: object) -> list[str | int]:
    """Where in the data the target stands."""
    if data is target:
        return []
    found: Iterable[tuple[str | int, Any]] = data.items() if isinstance(data, dict) else enumerate(data)
    for key, child in found:
        if child is target:
            return [key]
        if isinstance(child, (dict, list)) and (path := _path(child, target)):
            return [key, *path]
    return []


def pointer(path: Iterable[str | int]) -> str:
    """A path as a JSON pointer (RFC 6901); the empty one is the whole document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
