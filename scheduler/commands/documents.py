"""JSON as a person gives it to a command: typed as one word, in a file, or on standard input."""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from scheduler.importing.configurations import BadFileError
from scheduler.importing.yaml_files import YAML_SUFFIXES, yaml_data
from scheduler.texts import abbreviate

TABLE_SUFFIX = ".safetensors"
"""Ending of a table's file: what is typed with it is read as one."""

_RUN = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)  # what a run of a service is called
_STANDARD_INPUT = "-"
_ENCODINGS = (  # by what a file begins with, as Windows' programs write it; UTF-32's marks begin with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"", "utf-8-sig"),
)


def is_document(word: str) -> bool:
    """Whether a word is JSON, the path of a file with it, or '-' for standard input."""
    return word == _STANDARD_INPUT or is_typed_json(word) or os.sep in word or word.endswith(".json") or is_file(word)


def is_typed_json(word: str) -> bool:
    """Whether a word is JSON itself."""
    return word.lstrip().startswith(("{", "["))


def is_file(word: str) -> bool:
    """Whether a word is the path of what can be read: a file, or a pipe such as a shell's `<(...)` names."""
    return os.path.exists(word) and not os.path.isdir(word)


def read_document(word: str) -> Any:
    """The data of JSON that is typed, in a file or on standard input; of YAML where the file's name says so.

    Raises `BadFileError`, in one line, for what is neither or says something twice, and for a run's name; `OSError`
    where a file cannot be read, `RecursionError` for JSON nested too deeply.
    """
    if is_typed_json(word):
        return _json(word, "this")
    name = "standard input" if word == _STANDARD_INPUT else word
    text = _decoded(_standard_input() if word == _STANDARD_INPUT else _file(word), name)
    if not text.strip():
        raise BadFileError(f"{name} is empty")
    return _yaml(text, name) if name.endswith(YAML_SUFFIXES) else _json(text, name)


def _file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        folder, _ = os.path.split(path)
        if os.path.exists(folder) or path.endswith((".json", *YAML_SUFFIXES)) or not _RUN.fullmatch(path):
            raise
        raise BadFileError(
            f"{error.strerror}: {abbreviate(path)}; a run is shown by 'lrtables run show {path}'"
        ) from error


def _yaml(text: str, name: str) -> Any:
    """YAML's data as that of JSON: what only YAML has, such as dates, as texts."""
    try:
        return json.loads(json.dumps(yaml_data(text, name), default=str))
    except ValueError as error:
        if isinstance(error, BadFileError):
            raise
        raise BadFileError(f"{name} holds a list or an object that holds itself") from error


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise BadFileError("standard input is closed")
    buffer = getattr(sys.stdin, "buffer", None)  # which a text in the place of standard input has not
    return sys.stdin.read().encode() if buffer is None else bytes(buffer.read())


def _decoded(data: bytes, name: str) -> str:
    encoding = next(encoding for mark, encoding in _ENCODINGS if data.startswith(mark))
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadFileError(
            f"{name} is no JSON: it is no text in UTF-8; a table's file ends in {TABLE_SUFFIX}"
        ) from error


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repetition)
    except json.JSONDecodeError as error:
        raise BadFileError(f"{name} is no JSON: {error}") from error
    except BadFileError as error:
        raise BadFileError(f"{name} is ambiguous: {error}") from error
    except ValueError as error:  # an integer that Python refuses to read, for the time grows with its square
        raise BadFileError(f"{name} has a number of more than 4,300 digits") from error


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise BadFileError(f"{abbreviate(key)} is given twice, {abbreviate(found[key])} and {abbreviate(value)}")
        found[key] = value
    return found
