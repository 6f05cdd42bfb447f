"""Rates in Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from client.records.recorder import Recorder, described
from scheduler.audit.applied import Origin


class WandbRecorder(Recorder):
    """Logs the values by update, and the table in the run's config: `lr_table_digest`, `lr_run`, `lr_run_version`.

    The charts have a step of their own, `lr_update`, so that W&B's count of `log` calls does not matter.

    Args:
        run: a run of W&B, online or offline. Without it the one that is active when recording starts.
        commit: make a row of W&B's history of each record. False adds it to the row that the training's next `log`
            makes, which keeps only the last record before each `log`.

    Raises `ImportError` without W&B; `start` raises `ValueError` where no run is active.
    """

    def __init__(self, run: Any = None, *, commit: bool = True) -> None:
        self._wandb = _wandb()
        self._run = run
        self._commit = commit

    @override
    def start(self, origin: Origin, columns: Sequence[str]) -> None:
        self._run = self._wandb.run if self._run is None else self._run
        if self._run is None:
            raise ValueError("WandbRecorder needs a run: call wandb.init() before, or give run")
        self._run.define_metric("lr_update", hidden=True)
        for name in columns:
            self._run.define_metric(name.replace(".", "/"), step_metric="lr_update")
        self.follow(origin)

    @override
    def follow(self, origin: Origin) -> None:
        self._run.config.update(described(origin), allow_val_change=True)

    @override
    def record(self, update: int, values: Mapping[str, float]) -> None:
        named = {name.replace(".", "/"): value for name, value in values.items()}
        self._run.log({**named, "lr_update": update}, commit=self._commit)

    @override
    def close(self) -> None:
        """The run stays open; it is the training's."""


def _wandb() -> Any:
    try:
        import wandb  # noqa: PLC0415  # an extra, and slow to import
    except ImportError as error:
        raise ImportError(
            "WandbRecorder needs Weights & Biases: pip install 'lrtables[wandb]'", name=error.name
        ) from error
    return wandb
