"""Logging to standard error, as text or JSON. Each line has the ID of its request and its trace."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from typing_extensions import override

from service.http.request_id import REQUEST_ID, current, trace_id
from service.settings import Settings

FIELDS = "fields"
"""Key in `extra` for a dict of values that are added to the JSON of a record."""

_SECRETS = re.compile(r"lrt_\w+|(?<=://)[^\s/@]+(?=@)|(?<=password=)[^\s&]+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def configure(settings: Settings) -> None:
    """Send all logs and warnings of this process to standard error.

    `log_level` is the level of our own loggers and uvicorn's. Other libraries log warnings and errors at any level.
    Call this once, before anything is logged.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else HumanLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in ("lrtables", "uvicorn"):
        logging.getLogger(name).setLevel(settings.log_level.upper())


class _Lines(logging.Formatter):
    """Formats records without secrets: tokens, passwords, and the part of a URL before the `@` are replaced."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        message = _without_secrets(record.getMessage())
        trace = _without_secrets(self.formatException(record.exc_info)) if record.exc_info else ""
        return self.write(time, record, message, trace)

    def write(self, time: str, record: logging.LogRecord, message: str, trace: str) -> str:
        """Return the text of a record."""
        raise NotImplementedError


class JsonLines(_Lines):
    """One JSON object per line: time, level, logger, message, IDs and fields. A traceback is one of its members."""

    @override
    def write(self, time: str, record: logging.LogRecord, message: str, trace: str) -> str:
        data = {"time": time, "level": record.levelname.lower(), "logger": record.name, "message": message}
        exception = {"exception": trace} if trace else {}
        return json.dumps({**data, **dict(_ids()), **_fields(record), **exception})


class HumanLines(_Lines):
    """One line of text per record, with its traceback below. Line breaks in messages are escaped."""

    @override
    def write(self, time: str, record: logging.LogRecord, message: str, trace: str) -> str:
        ids = " ".join(f"{name}={value}" for name, value in _ids())
        line = f"{time} {record.levelname.lower()} {record.name}: {_escaped(message)}"
        below = map(_escaped, trace.split("\n")) if trace else ()
        return "\n".join((f"{line} [{ids}]" if ids else line, *below))


def _ids() -> Iterator[tuple[str, str]]:
    """Yield the IDs of the current request and its trace."""
    scope = current.get()
    if scope is None:
        return
    yield "request_id", scope[REQUEST_ID]
    if (trace := trace_id(scope["headers"])) is not None:
        yield "trace_id", trace


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, FIELDS, {})
    return {name: _without_secrets(value) if isinstance(value, str) else value for name, value in fields.items()}


def _without_secrets(text: str) -> str:
    return _SECRETS.sub("***", text)


def _escaped(text: str) -> str:
    """Return a text with line breaks and terminal control characters escaped."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
