"""Selected values of a table: single steps, or a downsampled range."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from service.errors import InvalidRequestError, LimitExceededError, abbreviate
from service.tables.readable import ReadableTable
from service.tables.thinning import Steps, extremes

_DEFAULT_POINTS, _FEWEST_POINTS = 1000, 4


class ValuesQuery(BaseModel):
    """A selection of values: `steps`, or `points` values of the range from `start` up to but without `stop`."""

    model_config = ConfigDict(extra="forbid")

    start: int | None = Field(None, ge=0, description="first row of the range; default: 0")
    stop: int | None = Field(None, ge=1, description="row after the range; default: the table's end")
    points: int | None = Field(
        None,
        ge=_FEWEST_POINTS,
        description="maximum number of values per column; default: 1000, or fewer if the server's max_points is lower",
    )
    steps: str | None = Field(None, description="row numbers, separated by commas: 0,500,999")


class Curve(BaseModel):
    """A column's values at some rows."""

    steps: list[int]
    values: list[float]


class TableValues(BaseModel):
    """Selected values of a table, by column."""

    digest: str
    columns: dict[str, Curve]


def select(table: ReadableTable, query: ValuesQuery, max_points: int) -> bytes:
    """Return the selected values as JSON, at most `max_points` over all columns.

    A range longer than `points` is downsampled: the result has its first and last value, and the smallest and largest
    value of each of several equal parts, so no peak is lost. Raises `InvalidRequestError` and `LimitExceededError`.
    """
    most = max(max_points // len(table.columns), _FEWEST_POINTS)
    if query.steps is not None:
        steps = _listed(query, table.total_steps, most)
        chosen = dict.fromkeys(table.columns, steps)
    else:
        start, stop, points = _range(query, table.total_steps, most)
        chosen = {name: extremes(values, start, stop, points) for name, values in table.columns.items()}
    return json.dumps({"digest": table.digest, "columns": _curves(table, chosen)}).encode()


def _curves(table: ReadableTable, chosen: dict[str, Steps]) -> dict[str, Any]:
    return {
        name: {"steps": steps.tolist(), "values": table.columns[name][steps].tolist()} for name, steps in chosen.items()
    }


def _listed(query: ValuesQuery, total_steps: int, most: int) -> Steps:
    if {"start", "stop", "points"} & query.model_fields_set:
        raise InvalidRequestError.of_parameter(
            "steps", "steps cannot be combined with start, stop or points", query.steps
        )
    texts = (query.steps or "").split(",")
    if len(texts) > most:
        raise _too_many("steps", len(texts), most)
    for text in texts:
        if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text) < total_steps):
            raise InvalidRequestError.of_parameter(
                "steps", f"steps must be from 0 to {total_steps - 1}, got {abbreviate(text)!r}", text
            )
    return np.array([int(text) for text in texts], dtype=np.int64)


def _range(query: ValuesQuery, total_steps: int, most: int) -> tuple[int, int, int]:
    start = query.start or 0
    stop = total_steps if query.stop is None else query.stop
    points = min(_DEFAULT_POINTS, most) if query.points is None else query.points
    if stop > total_steps:
        raise InvalidRequestError.of_parameter(
            "stop", f"stop must be at most the table's {total_steps} rows, got {stop}", stop
        )
    if start >= stop:
        raise InvalidRequestError.of_parameter("start", f"start must be below stop, got {start} >= {stop}", start)
    if points > most:
        raise _too_many("points", points, most)
    return start, stop, points


def _too_many(parameter: str, amount: int, limit: int) -> LimitExceededError:
    detail = f"{parameter} must ask for at most {limit} values of each column of this table (max_points), got {amount}"
    return LimitExceededError.of_parameter(parameter, detail, amount)
