"""OpenTelemetry against a real receiver."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import urllib3
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from service.observability import tracing
from tests.support.servers.process import ServerProcess

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Receiver:
    """An OTLP/HTTP receiver on a free port. It stores the path and body of each request."""

    def __init__(self) -> None:
        self.received: list[tuple[str, bytes]] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert "Content-Encoding" not in self.headers
                received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def bodies(self, path: str) -> list[bytes]:
        return [body for where, body in self.received if where == path]

    def requests(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(body) for body in self.bodies("/v1/traces")]

    def spans(self) -> list[Span]:
        scopes = [scope for request in self.requests() for item in request.resource_spans for scope in item.scope_spans]
        return [span for scope in scopes for span in scope.spans]

    def service_names(self) -> set[str]:
        return {
            attributes(item.resource.attributes)["service.name"]
            for request in self.requests()
            for item in request.resource_spans
        }

    def metrics(self) -> set[str]:
        requests = [ExportMetricsServiceRequest.FromString(body) for body in self.bodies("/v1/metrics")]
        scopes = [scope for request in requests for item in request.resource_metrics for scope in item.scope_metrics]
        return {metric.name for scope in scopes for metric in scope.metrics}

    def events(self) -> set[str]:
        requests = [ExportLogsServiceRequest.FromString(body) for body in self.bodies("/v1/logs")]
        scopes = [scope for request in requests for item in request.resource_logs for scope in item.scope_logs]
        return {line.event_name for scope in scopes for line in scope.log_records}


def attributes(pairs: list[KeyValue]) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in pairs}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    with made.server:
        thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield made
        made.server.shutdown()
        thread.join()


@contextmanager
def traced_server(data_dir: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    with monkeypatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        with ServerProcess(data_dir) as server:
            yield server


def test_spans_arrive(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver named by the environment gets a span for each request to a route, in the trace of the client."""
    with traced_server(tmp_path / "data", receiver.url, monkeypatch) as server:
        with urllib3.PoolManager(headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}) as pool:
            assert pool.request("GET", f"{server.url}/v1/schedules/torch.StepLR").status == 200
            assert pool.request("GET", f"{server.url}/v1/tables/none").status == 422
        assert server.stop() == (0, "")
    spans = {span.name: span for span in receiver.spans()}
    span = spans["GET /v1/schedules/{kind}"]
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(list(span.attributes))["http.route"] == "/v1/schedules/{kind}"
    assert receiver.service_names() == {"lrtables"}
    assert "http.server.request.duration" in receiver.metrics()
    assert "fastapi.validation.failed" in receiver.events()


@pytest.mark.slow
def test_an_unreachable_receiver_does_not_block_the_server(
    free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its receiver the server works, and stops within `drain_seconds`."""
    url = f"http://127.0.0.1:{free_port}"
    with traced_server(tmp_path / "data", url, monkeypatch) as server:
        assert server.get("/v1/schedules")
        status, _ = server.stop()
    assert status == 0


def test_it_is_off_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is traced if the environment names no receiver."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert not tracing.is_wanted()
    assert not any(tracing.telemetry().values())


def test_it_is_off_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the environment names a receiver everything is on, unless the exporter is not installed."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
    script = (
        "from service.observability import tracing; print(tracing.is_installed(), set(tracing.telemetry().values()))"
    )
    without = "import sys; sys.modules['opentelemetry.exporter'] = None"
    assert _printed(script) == "True {True}"
    assert _printed(f"{without}; {script}") == "False {False}"


def _printed(script: str) -> str:
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return finished.stdout.strip()
