"""The log: lines on standard error, for people or for programs, each with the request and the trace it belongs to."""

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
"""What `extra` gives a record under this name, a dict, is part of its JSON."""

_SECRETS = re.compile(r"lrt_\w+|(?<=://)[^\s/@]+(?=@)|(?<=password=)[^\s&]+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def configure(settings: Settings) -> None:
    """Send what this process logs, warnings included, to standard error: ours from `log_level` on, that of others too.

    Libraries are heard from warnings on, whatever the level. To be called once, before anything is logged.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else HumanLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in ("lrtables", "uvicorn"):
        logging.getLogger(name).setLevel(settings.log_level.upper())


class _Lines(logging.Formatter):
    """Turns a record into text without secrets: tokens, and what stands before the `@` of an address."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        message = _without_secrets(record.getMessage())
        trace = _without_secrets(self.formatException(record.exc_info)) if record.exc_info else ""
        return self.write(time, record, message, trace)

    def write(self, time: str, record: logging.LogRecord, message: str, trace: str) -> str:
        """The text of a record."""
        raise NotImplementedError


class JsonLines(_Lines):
    """One line per record: an object of time, level, logger, message, ids, fields; a traceback is one member of it."""

    @override
    def write(self, time: str, record: logging.LogRecord, message: str, trace: str) -> str:
        data = {"time": time, "level": record.levelname.lower(), "logger": record.name, "message": message}
        exception = {"exception": trace} if trace else {}
        return json.dumps({**data, **dict(_ids()), **_fields(record), **exception})


class HumanLines(_Lines):
    """One line per record, its traceback below. No message can pretend to be a second line."""

    @override
    def write(self, time: str, record: logging.LogRecord, message: str, trace: str) -> str:
        ids = " ".join(f"{name}={value}" for name, value in _ids())
        line = f"{time} {record.levelname.lower()} {record.name}: {_escaped(message)}"
        below = map(_escaped, trace.split("\n")) if trace else ()
        return "\n".join((f"{line} [{ids}]" if ids else line, *below))


def _ids() -> Iterator[tuple[str, str]]:
    """Of the request that is being answered."""
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
    """On one line, and without what a terminal would obey."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
