"""Reading specs from JSON: errors and exceeded limits name the field."""

from __future__ import annotations

from typing import Any

from scheduler import ScheduleError, Spec
from scheduler.messages.errors import ABSENT, Problem
from scheduler.named_tables import named_digests
from service.errors import FieldError, InvalidRequestError, LimitExceededError, abbreviate
from service.settings import Settings
from service.strict_json import check_json, pointer


def read_spec(body: bytes, settings: Settings) -> Spec:
    """Return the spec in a JSON body. Raises `MalformedBodyError`, `InvalidRequestError` and `LimitExceededError`."""
    data = check_json(body, max_depth=settings.max_depth, max_items=settings.max_items)
    _check_groups(data, settings.max_columns)
    try:
        spec = Spec.model_validate_json(body)
    except ScheduleError as error:
        raise invalid(error) from error
    _check_limits(spec, settings)
    return spec


def invalid(error: ScheduleError) -> InvalidRequestError:
    """Return an error in a spec, or in a part of one, as the error of a request."""
    errors = [_field_error(problem) for problem in error.problems]
    return InvalidRequestError("; ".join(item.detail for item in errors) or str(error), errors)


def _check_groups(data: Any, max_columns: int) -> None:
    """Raise `LimitExceededError` for more groups than columns, before parsing them: each has at least one column."""
    groups = data.get("schedule") if isinstance(data, dict) else None
    if isinstance(groups, list) and len(groups) > max_columns:
        detail = f"schedule must have at most {max_columns} groups on this server (max_columns), got {len(groups)}"
        raise LimitExceededError(detail, [FieldError(detail, pointer="/schedule", value=groups)])


def _check_limits(spec: Spec, settings: Settings) -> None:
    columns, named = len(spec.plan()), len(named_digests(spec.every_schedule()))
    size = 8 * columns * spec.total_steps
    walked = spec.total_steps + max(schedule.head_start for schedule in spec.every_schedule())
    checks = [
        ("total_steps", spec.total_steps, "max_steps", settings.max_steps, spec.total_steps),
        ("total_steps, with what a Shift skips of a stepped twin,", walked, "max_steps", settings.max_steps, None),
        ("columns", columns, "max_columns", settings.max_columns, None),
        ("tables that Literals refer to", named, "max_columns", settings.max_columns, None),
        ("bytes of the table", size, "max_table_bytes", settings.max_table_bytes, spec.total_steps),
    ]
    for what, amount, name, limit, steps in checks:
        if amount > limit:
            detail = f"{what} must be at most {limit} on this server ({name}), got {amount}"
            at = "/schedule" if steps is None else "/total_steps"
            raise LimitExceededError(detail, [FieldError(detail, pointer=at, value=steps or amount)])


def _field_error(problem: Problem) -> FieldError:
    at = pointer(problem.path)
    name = abbreviate(str(problem.subject[-1])) if problem.subject else "the spec"
    detail = f"{name} {problem.text}" if problem.continues else problem.text
    if problem.value is ABSENT:
        return FieldError(detail, pointer=at)
    got = f", got {abbreviate(problem.value)!r}" if problem.continues else ""
    return FieldError(detail + got, pointer=at, value=problem.value)
