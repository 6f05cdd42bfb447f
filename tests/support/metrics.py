"""Parsing of the metrics text."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from service.observability.metrics import Metrics, Readings

READINGS = Readings(
    feed_waiting=0,
    cache_hits=11,
    cache_bytes=12,
    cache_capacity_bytes=13,
    table_loads=14,
    tables_published=15,
    computations=16,
    computations_killed=26,
    workers_lost=27,
    computation_running_seconds=2.5,
    computations_ended=17,
    computation_seconds=1.5,
    queue_depth=18,
    single_flight_waits=19,
    determinism_mismatch=20,
    damaged={"table": 21, "row": 22},
    store_errors={"objects": 23, "database": 24},
    connections_closed={"idle": 25},
)
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(metrics: Metrics, readings: Readings = READINGS) -> Samples:
    """Each number that a reader of the text gets, by its name and labels."""
    families = list(text_string_to_metric_families(metrics.text(readings).decode()))
    assert len({family.name for family in families}) == len(families)
    found = [sample for family in families for sample in family.samples]
    numbers = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in found}
    assert len(numbers) == len(found)
    return numbers
