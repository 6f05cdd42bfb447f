"""The rule for a position in a table. Tables, schedulers and loops check progress with it."""

from __future__ import annotations

import operator

MAX_PROGRESS = 2**63 - 1
"""The largest progress. Samples and tokens go far beyond a schedule's `MAX_STEP` rows: a row may last for millions."""


def progress_index(progress: object, name: str = "progress") -> int:
    """A progress as an int: `TypeError` where it is no whole number, `ValueError` where it is negative or absurd.

    `name` is what the errors call it: "step" where the table counts steps.
    """
    try:
        index = operator.index(progress)  # type: ignore[arg-type]  # refuses what is not an integer, the question here
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {progress!r}") from None
    if isinstance(progress, bool):
        raise TypeError(f"{name} must be an integer, got {progress!r}")
    if not 0 <= index <= MAX_PROGRESS:
        raise ValueError(f"{name} must be from 0 to {MAX_PROGRESS}, got {index}")
    return index
