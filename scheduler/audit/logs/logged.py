"""A log of learning rates as it was read: numbers as they are written, with their steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from scheduler.audit.applied import Origin
from scheduler.audit.logs.precision import Precision, find_precision
from scheduler.fields import Values
from scheduler.texts import abbreviate

Steps: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

MAX_STEP = 10**12
"""The largest step that a log may have: more is a timestamp or another column."""


class LogError(ValueError):
    """A log that cannot be read, or in which no rate is found; the message names the file and the place."""


@dataclass(frozen=True)
class Series:
    """One column of a log.

    Args:
        name: the column, tag or key.
        steps: the step that each value was logged at, in the order of the log; shape [n].
        values: the values, float64, shape [n].
        precision: how exactly the values are written.
    """

    name: str
    steps: Steps
    values: Values
    precision: Precision


@dataclass
class Cells:
    """A column while a log is read: steps, and numbers as they are written."""

    steps: list[int] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def add(self, step: int, word: str) -> None:
        """Add a number as it is written."""
        self.steps.append(step)
        self.words.append(word)

    def series(self, name: str) -> Series:
        """The column as arrays. Raises `LogError` for what is no number, and for a step that is none."""
        for step in self.steps:
            if not 0 <= step <= MAX_STEP:
                raise LogError(f"{name}: a step must be from 0 to {MAX_STEP:,}, got {abbreviate(step)}")
        values = np.array([_number(name, word) for word in self.words], dtype=np.float64)
        return Series(name, np.array(self.steps, dtype=np.int64), values, find_precision(self.words, values))


@dataclass(frozen=True)
class RateLog:
    """A log, whatever wrote it.

    Args:
        source: what wrote it, in words.
        columns: name to the numbers of each column that may be a rate.
        offsets: what a healthy run may log: at step s the rate of update s + offset. The first is the usual one.
        is_exact: whether every bit of the rates is in the log, as in our own.
        origins: index of a row to the table that was applied from there on, where the log says so.
    """

    source: str
    columns: Mapping[str, Cells]
    offsets: Sequence[int] = (0,)
    is_exact: bool = False
    origins: tuple[tuple[int, Origin], ...] = ()


def _number(name: str, word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise LogError(f"{name}: a rate must be a number, got {abbreviate(word)}") from None
