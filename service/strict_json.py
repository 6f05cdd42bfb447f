"""A strict JSON parser: it rejects ambiguous documents and limits their size."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from scheduler.texts import lone_surrogate
from service.errors import FieldError, MalformedBodyError, abbreviate

SMALL = 16 * 1024
"""Largest JSON text, in bytes, that is parsed in the event loop. Parsing a larger one would delay other requests."""

_MOST_DIGITS = 4300  # of an integer: the limit of Python and pydantic
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # in UTF-8 JSON, only an escape can be a surrogate


class _Refused:
    """Placeholder of a rejected number or object in the parsed data. Its place there becomes the error's pointer."""

    def __init__(self, detail: str, value: str) -> None:
        self.detail = detail
        self.value = value


def check_json(body: bytes, *, max_depth: int, max_items: int) -> Any:
    """Return the JSON data of a body. NaN and Infinity are allowed: the fields reject them with their own errors.

    Raises `MalformedBodyError` if the body

    * is not UTF-8 or not JSON;
    * is nested deeper than `max_depth`;
    * has more than `max_items` members and list items, each of which could become an error of its own;
    * has a key twice in one object, which readers interpret differently;
    * has an integer of more than 4,300 digits;
    * has a string with half of a surrogate pair, which UTF-8 cannot encode.
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
    """Raise `MalformedBodyError` for a string or key with half of a surrogate pair. For a key, point to its object."""
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
    return f"the key {abbreviate(key)!r} is in one object twice", key


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
    """Return the path of the target in the data."""
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
    """Return a path as a JSON pointer (RFC 6901). An empty path is the whole document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
