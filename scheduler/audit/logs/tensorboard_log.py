"""TensorBoard's event files, read by the package `tensorboard`, which is imported only here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from scheduler.audit.logs.logged import Cells, LogError, RateLog
from scheduler.audit.logs.rate_columns import is_rate_name

_INSTALL = "reading TensorBoard's event files needs the package tensorboard: pip install tensorboard"
_EVERYTHING = 0  # what EventAccumulator takes for "keep every event"


def is_event_file(path: Path) -> bool:
    """Whether a file is called like one of TensorBoard's event files."""
    return "tfevents" in path.name


def read_tensorboard(path: Path) -> RateLog:
    """The rates in an event file, or in those of a folder. Raises `LogError`; `ImportError` says what to install."""
    try:
        module = import_module("tensorboard.backend.event_processing.event_accumulator")
    except ModuleNotFoundError as error:
        raise ImportError(_INSTALL, name=error.name) from error
    accumulator = module.EventAccumulator(str(path), {"scalars": _EVERYTHING, "tensors": _EVERYTHING})
    try:
        accumulator.Reload()
        columns = {name: _scalars(accumulator, name) for name in accumulator.Tags()["scalars"]}
        columns |= {name: _tensors(accumulator, name) for name in accumulator.Tags()["tensors"] if is_rate_name(name)}
    except Exception as error:  # whatever that package raises for a damaged file
        raise LogError(f"{path} cannot be read by tensorboard: {type(error).__name__}: {error}") from error
    if not columns:
        raise LogError(f"{path} has no scalars that tensorboard can read")
    if "train/learning_rate" in columns:
        return RateLog("TensorBoard events of the Hugging Face Trainer", columns, offsets=(-1, 0))
    return RateLog("TensorBoard events", columns)


def _scalars(accumulator: Any, name: str) -> Cells:
    cells = Cells()
    for event in accumulator.Scalars(name):
        cells.add(int(event.step), repr(float(event.value)))
    return cells


def _tensors(accumulator: Any, name: str) -> Cells:
    tensor_util = import_module("tensorboard.util.tensor_util")
    cells = Cells()
    for event in accumulator.Tensors(name):
        values = tensor_util.make_ndarray(event.tensor_proto)
        if values.size == 1:
            cells.add(int(event.step), repr(float(values.reshape(()))))
    return cells
