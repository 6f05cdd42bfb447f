"""OpenTelemetry: spans, metrics and errors of FastAPI's requests, if the environment names a receiver."""

from __future__ import annotations

import os
from importlib.util import find_spec

from fastapi.telemetry import TelemetryConfig

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_EXPORTER = "opentelemetry.exporter.otlp.proto.http"
_DEFAULTS = {
    "OTEL_SERVICE_NAME": "lrtables",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "2",  # seconds; a stopping server waits four times for an unreachable receiver
}


def is_wanted() -> bool:
    """Return whether the environment names a receiver."""
    return bool(os.environ.get(_ENDPOINT))


def is_installed() -> bool:
    """Return whether the otel extra is installed."""
    try:
        return find_spec(_EXPORTER) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False


def telemetry() -> TelemetryConfig:
    """Return the argument of `FastAPI(telemetry=...)`: everything on if a receiver is named and the extra installed.

    Responses from the memory cache bypass FastAPI, and have no span. `OTEL_SERVICE_NAME` is `lrtables` by default, and
    `OTEL_EXPORTER_OTLP_TIMEOUT` 2 seconds.
    """
    on = is_wanted() and is_installed()
    for name, value in _DEFAULTS.items() if on else ():
        os.environ.setdefault(name, value)  # the SDK reads only the environment
    return {"tracing": on, "metrics": on, "logs": on, "auto_configure": on}
