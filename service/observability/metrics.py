"""Prometheus metrics."""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.settings import VERSION

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
BOUNDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0)
"""Upper bounds of the duration histogram, in seconds: from a 304 to a large table for a slow client."""

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_OTHER_METHOD = "other"
_SECONDS = "lrtables_http_request_seconds"

# Help texts by the name of the reading, which is the metric's name without `lrtables_`.
_COUNTERS = {
    "cache_hits": "Tables found in the memory cache.",
    "table_loads": "Tables read from the store and verified.",
    "tables_published": "New tables published by value.",
    "computations": "Computations started.",
    "computations_killed": "Computations killed with their process because they did not stop.",
    "workers_lost": "Worker processes that crashed or were killed by the system.",
    "single_flight_waits": "Requests that waited for the same work started by another request.",
    "determinism_mismatch": "Computations whose digest differs from the stored one.",
}
_GAUGES = {
    "cache_bytes": "Memory used by the table cache.",
    "cache_capacity_bytes": "Memory limit of the table cache.",
    "queue_depth": "Computations running or waiting.",
    "feed_waiting": "Clients that wait for changes of runs.",
    "computation_running_seconds": "Age of the longest-running computation; 0 if none runs.",
}
_LABELLED = {
    "damaged": ("what", "Damaged tables and rows found."),
    "store_errors": ("store", "Failures of the object store or the database."),
    "connections_closed": ("reason", "Connections closed because a deadline passed."),
}


class Series:
    """Requests of one method, route and status: a histogram of durations, and the bytes of their responses."""

    __slots__ = ("buckets", "labels", "nbytes", "seconds")

    def __init__(self, labels: str) -> None:
        self.labels = labels
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self.nbytes = 0

    def add(self, seconds: float, nbytes: int) -> None:
        """Count a request.

        `seconds` is the time until the last of the response's `nbytes` was handed over for sending, without the time
        for which the request waited for changes of runs.
        """
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        self.nbytes += nbytes

    def histogram(self) -> Iterator[str]:
        """Yield the lines of the duration histogram."""
        number = 0
        for bound, count in zip((*BOUNDS, "+Inf"), self.buckets, strict=True):
            number += count
            yield f'{_SECONDS}_bucket{{{self.labels},le="{bound}"}} {number}\n'
        yield f"{_SECONDS}_count{{{self.labels}}} {number}\n"
        yield f"{_SECONDS}_sum{{{self.labels}}} {self.seconds}\n"


@dataclass(frozen=True)
class Readings:
    """The counters of the server's parts, at one moment.

    `store_errors` is by store (`objects`, `database`), `connections_closed` by reason, `damaged` by what is damaged
    (`table`, `row`).
    """

    cache_hits: int
    cache_bytes: int
    cache_capacity_bytes: int
    table_loads: int
    tables_published: int
    computations: int
    computations_killed: int
    workers_lost: int
    computation_running_seconds: float
    computations_ended: int
    computation_seconds: float
    queue_depth: int
    single_flight_waits: int
    determinism_mismatch: int
    damaged: Mapping[str, int]
    store_errors: Mapping[str, int]
    connections_closed: Mapping[str, int]
    feed_waiting: int


class Metrics:
    """Counts requests in the event loop, and exports all metrics for Prometheus.

    The library `prometheus_client` takes several locks per request, and writes a histogram tens of times slower than
    this class. So it only exports the metrics that have a single value.
    """

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}
        self._process = ProcessCollector(registry=None)

    def series(self, method: str, route: str, status: int) -> Series:
        """Return the series of these requests. `route` is the route's name in metrics."""
        named = method if method in _METHODS else _OTHER_METHOD
        labels = f'method="{named}",route="{route}",status="{status}"'
        return self._series.setdefault(labels, Series(labels))

    def text(self, readings: Readings) -> bytes:
        """Return all metrics in Prometheus' text format 0.0.4. May be called from any thread.

        It can block: counting the process's open files takes long if there are many.
        """
        families = [_build(), *_of_readings(readings), *self._process.collect()]
        return generate_latest(_Families(families)) + "".join(self._requests()).encode()

    def _requests(self) -> Iterator[str]:
        every = list(self._series.values())
        yield _head("lrtables_http_requests_total", "counter", "Requests with a response.")
        yield from (f"lrtables_http_requests_total{{{one.labels}}} {sum(one.buckets)}\n" for one in every)
        yield _head("lrtables_http_response_bytes_total", "counter", "Bytes of response bodies.")
        yield from (f"lrtables_http_response_bytes_total{{{one.labels}}} {one.nbytes}\n" for one in every)
        yield _head(
            _SECONDS,
            "histogram",
            "Time from a request until the last byte of its response was handed over for sending.",
        )
        yield from (line for one in every for line in one.histogram())


def _head(name: str, kind: str, words: str) -> str:
    return f"# HELP {name} {words}\n# TYPE {name} {kind}\n"


class _Families(Collector):
    """A collector of metric families that already exist."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        # docstring inherited
        return self._families


def _build() -> Metric:
    family = GaugeMetricFamily(
        "lrtables_build_info", "Versions of the server and of Python.", labels=("version", "python")
    )
    family.add_metric((VERSION, ".".join(map(str, sys.version_info[:3]))), 1)
    return family


def _of_readings(readings: Readings) -> Iterator[Metric]:
    for name, words in _COUNTERS.items():
        yield CounterMetricFamily(f"lrtables_{name}", words, value=getattr(readings, name))
    for name, words in _GAUGES.items():
        yield GaugeMetricFamily(f"lrtables_{name}", words, value=getattr(readings, name))
    for name, (label, words) in _LABELLED.items():
        family = CounterMetricFamily(f"lrtables_{name}", words, labels=(label,))
        for value, number in sorted(getattr(readings, name).items()):
            family.add_metric((value,), number)
        yield family
    yield SummaryMetricFamily(
        "lrtables_computation_seconds",
        "Durations of computations, including failed ones.",
        count_value=readings.computations_ended,
        sum_value=readings.computation_seconds,
    )
