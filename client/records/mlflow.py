"""Rates in MLflow."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from client.records.recorder import Recorder, described
from scheduler.audit.applied import Origin

_MOST = 1000  # metrics that MLflow takes in one call


class MLflowRecorder(Recorder):
    """Logs one metric per value, by update, and the table as params: `lr_table_digest`, `lr_run`, `lr_run_version`.

    MLflow never changes a param. What a run's params cannot say, because it was amended or resumed with another table,
    is said by tags of the same names: they are of the table applied last.

    Args:
        run_id: of the run. Without it, the run that is active when recording starts.
        client: an `MlflowClient`. Without it one of the tracking store that MLflow is set to.
        flush_every: records that are sent together: a call takes milliseconds.

    Raises `ImportError` without MLflow; `start` raises `ValueError` where no run is active.
    """

    def __init__(self, run_id: str | None = None, *, client: Any = None, flush_every: int = 100) -> None:
        self._mlflow = _mlflow()
        self._run_id = run_id
        self._client = client
        self._flush_every = flush_every
        self._metrics: list[Any] = []
        self._unsent = 0

    @override
    def start(self, origin: Origin, columns: Sequence[str]) -> None:
        if self._run_id is None:
            active = self._mlflow.active_run()
            if active is None:
                raise ValueError("MLflowRecorder needs a run: record inside mlflow.start_run(), or give run_id")
            self._run_id = active.info.run_id
        if self._client is None:
            self._client = self._mlflow.MlflowClient()
        known = self._client.get_run(self._run_id).data.params
        for name, value in described(origin).items():
            if name not in known:
                self._client.log_param(self._run_id, name, value)
        self.follow(origin)

    @override
    def follow(self, origin: Origin) -> None:
        for name, value in described(origin).items():
            self._client.set_tag(self._run_id, name, value)

    @override
    def record(self, update: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        metric = self._mlflow.entities.Metric
        self._metrics += [metric(name, value, now, update) for name, value in values.items()]
        self._unsent += 1
        if self._unsent >= self._flush_every:
            self._send()

    @override
    def close(self) -> None:
        self._send()

    def _send(self) -> None:
        metrics, self._metrics, self._unsent = self._metrics, [], 0
        for begin in range(0, len(metrics), _MOST):
            self._client.log_batch(self._run_id, metrics=metrics[begin : begin + _MOST])


def _mlflow() -> Any:
    try:
        import mlflow  # noqa: PLC0415  # an extra, and slow to import
        import mlflow.entities  # noqa: PLC0415  # an extra, and slow to import
    except ImportError as error:
        raise ImportError("MLflowRecorder needs MLflow: pip install 'lrtables[mlflow]'", name=error.name) from error
    return mlflow
