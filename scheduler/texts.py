"""Texts and values from elsewhere: whether they can be written, and how an error repeats them."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from typing import Any, TypeGuard

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LONGEST = 100  # characters of a value that an error repeats
_COMPARED = 100  # characters of a name that others are compared with: the time grows with their square


def is_digest(value: object) -> TypeGuard[str]:
    """Whether it is a table's digest: a text of 64 hexadecimal digits in lower case."""
    return type(value) is str and _DIGEST.fullmatch(value) is not None


def lone_surrogate(text: str) -> int | None:
    """Index of the first lone surrogate, which UTF-8 cannot write; None where there is none."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None


def encodable(text: str) -> str:
    """The text with halves of surrogate pairs escaped, so that UTF-8 can write it."""
    return text.encode(errors="backslashreplace").decode()


def abbreviate(value: object) -> str:
    """The `repr` of a value for an error message: on one line, and shortened where it is long."""
    try:
        text = repr(value).replace("\n", " ")
    except ValueError:  # of an integer of more than 4,300 digits
        return f"a number of {type(value).__name__} with too many digits to show"
    except Exception:  # of somebody's own class: its error must not take the place of ours
        return f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def json_object(text: str | bytes | bytearray | memoryview) -> dict[str, Any] | None:
    """The JSON object in a text; None where it holds anything else, or is nested too deeply."""
    try:
        found = json.loads(bytes(text) if isinstance(text, memoryview) else text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def near_names(name: str, names: Iterable[str], *, most: int = 3, alike: float = 0.6) -> list[str]:
    """At most so many of the names that a misspelt one may mean, the nearest first; `alike` is from 0 to 1."""
    return difflib.get_close_matches(name[:_COMPARED], list(names), most, alike)
