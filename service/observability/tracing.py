"""OpenTelemetry: spans, metrics and errors of what FastAPI answers, where the environment says where to send them."""

from __future__ import annotations

import os
from importlib.util import find_spec

from fastapi.telemetry import TelemetryConfig

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_EXPORTER = "opentelemetry.exporter.otlp.proto.http"
_DEFAULTS = {
    "OTEL_SERVICE_NAME": "lrtables",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "2",  # seconds; a server that stops waits four times for a receiver that is away
}


def is_wanted() -> bool:
    """Whether the environment names a receiver."""
    return bool(os.environ.get(_ENDPOINT))


def is_installed() -> bool:
    """Whether the otel extra is installed."""
    try:
        return find_spec(_EXPORTER) is not None
    except ModuleNotFoundError:  # a package on the way to it is missing
        return False


def telemetry() -> TelemetryConfig:
    """What `FastAPI(telemetry=...)` takes: all of it where it is wanted and installed, else nothing.

    Tables in memory are answered before FastAPI is asked, and leave no span. The service calls itself `lrtables`, and
    waits 2 seconds for its receiver, unless `OTEL_SERVICE_NAME` and `OTEL_EXPORTER_OTLP_TIMEOUT` say otherwise.
    """
    on = is_wanted() and is_installed()
    for name, value in _DEFAULTS.items() if on else ():
        os.environ.setdefault(name, value)  # the SDK takes them from nowhere else
    return {"tracing": on, "metrics": on, "logs": on, "auto_configure": on}
