"""JSON that means one thing only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from scheduler.texts import lone_surrogate
from service.errors import FieldError, MalformedBodyError, abbreviate

SMALL = 16 * 1024
"""Bytes of JSON up to which it is parsed at once: a larger text would keep other requests waiting."""

_MOST_DIGITS = 4300  # of an integer: where Python's own limit is, and pydantic's
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # in JSON that is UTF-8, only an escape makes one


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
