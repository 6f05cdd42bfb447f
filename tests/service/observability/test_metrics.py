"""Prometheus metrics."""

import threading

import pytest

from service.observability.metrics import BOUNDS, Metrics
from tests.support.metrics import READINGS, samples

LIVEZ = (("method", "GET"), ("route", "/livez"), ("status", "200"))


def test_requests_are_counted() -> None:
    """Requests, the bytes of their responses and their durations are counted by method, route and status."""
    metrics = Metrics()
    metrics.series("GET", "/livez", 200).add(0.25, 15)
    metrics.series("GET", "/livez", 200).add(0.5, 15)
    metrics.series("HEAD", "/livez", 200).add(0.5, 0)
    found = samples(metrics)
    assert found["lrtables_http_requests_total", LIVEZ] == 2
    assert found["lrtables_http_response_bytes_total", LIVEZ] == 30
    assert found["lrtables_http_request_seconds_count", LIVEZ] == 2
    assert found["lrtables_http_request_seconds_sum", LIVEZ] == 0.75
    assert found["lrtables_http_requests_total", (("method", "HEAD"), *LIVEZ[1:])] == 1


def test_durations_are_a_histogram() -> None:
    """A bucket counts the requests up to its bound; the last bucket counts all of them."""
    metrics = Metrics()
    for seconds in (0.0, BOUNDS[0], BOUNDS[0] * 1.01, BOUNDS[-1] * 2):
        metrics.series("GET", "/livez", 200).add(seconds, 0)
    found = samples(metrics)
    buckets = [
        found["lrtables_http_request_seconds_bucket", (("le", str(bound)), *LIVEZ)] for bound in (*BOUNDS, "+Inf")
    ]
    assert buckets == [2, *[3] * (len(BOUNDS) - 1), 4]


def test_unknown_methods_are_counted_together() -> None:
    """A client cannot create new label values by sending unknown methods."""
    metrics = Metrics()
    for number in range(3000):
        metrics.series(f"WHAT{number}", "other", 404).add(0.001, 1)
    found = {key: value for key, value in samples(metrics).items() if key[0] == "lrtables_http_requests_total"}
    assert [(dict(labels)["method"], number) for (_, labels), number in found.items()] == [("other", 3000)]


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("lrtables_cache_hits_total", {}, 11),
        ("lrtables_cache_bytes", {}, 12),
        ("lrtables_cache_capacity_bytes", {}, 13),
        ("lrtables_table_loads_total", {}, 14),
        ("lrtables_tables_published_total", {}, 15),
        ("lrtables_computations_total", {}, 16),
        ("lrtables_computations_killed_total", {}, 26),
        ("lrtables_workers_lost_total", {}, 27),
        ("lrtables_computation_running_seconds", {}, 2.5),
        ("lrtables_computation_seconds_count", {}, 17),
        ("lrtables_computation_seconds_sum", {}, 1.5),
        ("lrtables_queue_depth", {}, 18),
        ("lrtables_single_flight_waits_total", {}, 19),
        ("lrtables_determinism_mismatch_total", {}, 20),
        ("lrtables_damaged_total", {"what": "table"}, 21),
        ("lrtables_damaged_total", {"what": "row"}, 22),
        ("lrtables_store_errors_total", {"store": "objects"}, 23),
        ("lrtables_store_errors_total", {"store": "database"}, 24),
        ("lrtables_connections_closed_total", {"reason": "idle"}, 25),
    ],
)
def test_readings_are_exported(name: str, labels: dict[str, str], value: float) -> None:
    """Each counter of the server's parts is exported with its value."""
    assert samples(Metrics())[name, tuple(labels.items())] == value


def test_version_and_memory_are_exported() -> None:
    """The server's version and the memory of the process are exported."""
    found = samples(Metrics())
    assert [value for (name, _), value in found.items() if name == "lrtables_build_info"] == [1]
    assert found["process_resident_memory_bytes", ()] > 0


def test_metrics_can_be_exported_while_requests_are_counted() -> None:
    """The text can be made in one thread while another counts requests."""
    metrics = Metrics()
    done = threading.Event()

    def count() -> None:
        for status in range(100, 600):
            metrics.series("GET", "/livez", status).add(0.001, 1)
        done.set()

    thread = threading.Thread(target=count)
    thread.start()
    while not done.is_set():
        metrics.text(READINGS)
    thread.join()
    assert sum(value for (name, _), value in samples(metrics).items() if name == "lrtables_http_requests_total") == 500
