"""A schedule in the query string of a URL: `kind=custom.LinearWarmup&base_lr=0.1&warmup_steps=500&steps=0,499`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from starlette.types import Receive

from scheduler import Schedule, Spec
from scheduler.spec import stated_length
from service.errors import FieldError, InvalidRequestError, LimitExceededError, ServiceError, abbreviate
from service.representations.specs import SpecReader
from service.settings import Settings

KIND, STEPS = "kind", "steps"
"""The parameters that are not the schedule's own. No kind has parameters with these names."""

_STEPS = re.compile(r"[0-9]{1,15}(,[0-9]{1,15})*")
_FEWEST_ROWS = 1024


@dataclass(frozen=True)
class Question:
    """The spec of a table, and the requested steps."""

    spec: Spec
    steps: str


async def read_query(
    query: Iterable[tuple[str, str]], reader: SpecReader, settings: Settings, receive: Receive
) -> Question:
    """Return the spec and the steps that a query requests.

    The table has as many rows as the schedule states, as everywhere where no length is given. For a schedule that
    states none, fewer than requested, or more than the server computes, the number of rows is the next power of two, so
    that many queries share one table. A growing schedule gets no rows after the last requested one, because it could
    overflow there. Raises `InvalidRequestError` and `LimitExceededError`, which name the parameter, and what
    `SpecReader.read` raises.
    """
    parameters = _distinct(query)
    steps = parameters.pop(STEPS, None)
    if KIND not in parameters:
        raise InvalidRequestError.of_parameter(KIND, "kind is missing: /v1/schedules lists them", "")
    _check_lists(parameters, settings.max_items)
    shortest = await _read(parameters, 1, reader, receive)
    if steps is None:
        raise InvalidRequestError.of_parameter(
            STEPS, "steps is missing: integers separated by commas, as 0,500,999", ""
        )
    rows = _rows(shortest.schedules[0], _last(steps), settings.max_steps)
    return Question(await _read(parameters, rows, reader, receive), steps)


def _distinct(query: Iterable[tuple[str, str]]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, text in query:
        if name in parameters:
            raise InvalidRequestError.of_parameter(name, f"{abbreviate(name)} is given twice", text)
        parameters[name] = text
    return parameters


def _check_lists(parameters: Mapping[str, str], max_items: int) -> None:
    """Raise `LimitExceededError` for a list that is too long, before parsing its items."""
    for name, text in parameters.items():
        if text.count(",") >= max_items:
            detail = f"{abbreviate(name)} must have at most {max_items} items on this server (max_items)"
            raise LimitExceededError.of_parameter(name, detail, text)


def _last(steps: str) -> int:
    if not _STEPS.fullmatch(steps):
        raise InvalidRequestError.of_parameter(
            STEPS,
            f"steps must be integers separated by commas, as 0,500,999, got {abbreviate(steps)!r}",
            steps,
        )
    return max(map(int, steps.split(",")))


def _rows(schedule: Schedule, last: int, max_steps: int) -> int:
    stated = stated_length([schedule])
    if stated is not None and stated <= max_steps and (last < stated or stated == schedule.end):
        return stated
    if last >= max_steps:
        detail = f"steps must be below {max_steps} on this server (max_steps), got {last}"
        raise LimitExceededError.of_parameter(STEPS, detail, last)
    if schedule.grows:
        return last + 1
    return min(max(1 << last.bit_length(), _FEWEST_ROWS), max_steps)


async def _read(parameters: Mapping[str, str], rows: int, reader: SpecReader, receive: Receive) -> Spec:
    members = ", ".join(f"{json.dumps(name)}: {_json(text, name)}" for name, text in parameters.items())
    try:
        return await reader.read(f'{{"schedule": {{{members}}}, "total_steps": {rows}}}'.encode(), receive)
    except ServiceError as error:
        error.errors = [_in_query(item) for item in error.errors]
        raise


def _json(text: str, name: str = "") -> str:
    """Return a parameter as JSON: unchanged if it is JSON, as a list if it has commas, else as a string."""
    if name != KIND and _is_json(text):
        return text
    if name != KIND and "," in text:
        return f"[{', '.join(_json(item) for item in text.split(',') if item)}]"
    return json.dumps(text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _in_query(error: FieldError) -> FieldError:
    """Return an error about the spec's JSON as an error about the query parameter."""
    _, _, path = (error.pointer or "").partition("/schedule/")
    name = path.partition("/")[0].replace("~1", "/").replace("~0", "~")
    return replace(error, pointer=None, parameter=name or KIND)
