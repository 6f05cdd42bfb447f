"""Rates in TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from client.records.recorder import Recorder, described
from scheduler.audit.applied import Origin


class TensorBoardRecorder(Recorder):
    """Writes one scalar per value and update, `lr` or `lr.0`, and the table's digest, run and version as text.

    TensorBoard keeps scalars in float32.

    Args:
        writer: a `SummaryWriter` of the training, which stays open; or the folder for one of its own. Raises
            `ImportError` where that needs a package that is missing.
        prefix: before every name, such as `train/`.
    """

    def __init__(self, writer: Any, *, prefix: str = "") -> None:
        self._is_own = isinstance(writer, (str, os.PathLike))
        self._writer = _summary_writer(writer) if self._is_own else writer
        self._prefix = prefix
        self._update = 0

    @override
    def start(self, origin: Origin, columns: Sequence[str]) -> None:
        self.follow(origin)

    @override
    def follow(self, origin: Origin) -> None:
        for name, value in described(origin).items():
            self._writer.add_text(f"{self._prefix}{name}", str(value), self._update)

    @override
    def record(self, update: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{self._prefix}{name}", value, update)
        self._update = update + 1

    @override
    def close(self) -> None:
        self._writer.flush()
        if self._is_own:
            self._writer.close()


def _summary_writer(folder: Any) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  # an extra, and slow to import
    except ImportError as error:
        raise ImportError(
            "TensorBoardRecorder needs TensorBoard: pip install 'lrtables[tensorboard]'", name=error.name
        ) from error
    return SummaryWriter(os.fspath(folder))
