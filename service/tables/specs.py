"""A spec out of JSON: read, checked against the limits, and refused by the field that is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from scheduler import KINDS, Spec
from scheduler.named_tables import named_digests
from scheduler.texts import near_names
from service.errors import MOST_ERRORS, FieldError, InvalidRequestError, LimitExceededError, abbreviate
from service.settings import Settings
from service.strict_json import check_json, pointer


def read_spec(body: bytes, settings: Settings) -> Spec:
    """The spec in a JSON body. Raises `MalformedBodyError`, `InvalidRequestError` and `LimitExceededError`."""
    data = check_json(body, max_depth=settings.max_depth, max_items=settings.max_items)
    _check_groups(data, settings.max_columns)
    try:
        spec = Spec.model_validate_json(body)
    except ValidationError as error:
        errors = field_errors(error, data)
        raise InvalidRequestError("; ".join(item.detail for item in errors), errors) from error
    _check_limits(spec, settings)
    return spec


def _check_groups(data: Any, max_columns: int) -> None:
    """Each group has a column at least: more groups than columns are refused before they are looked at."""
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
        ("tables that Literals name", named, "max_columns", settings.max_columns, None),
        ("bytes of the table", size, "max_table_bytes", settings.max_table_bytes, spec.total_steps),
    ]
    for what, amount, name, limit, steps in checks:
        if amount > limit:
            detail = f"{what} must be at most {limit} on this server ({name}), got {amount}"
            at = "/schedule" if steps is None else "/total_steps"
            raise LimitExceededError(detail, [FieldError(detail, pointer=at, value=steps or amount)])


def field_errors(error: ValidationError, data: Any) -> list[FieldError]:
    """Pydantic's errors as ours, the first twenty; `data` is the JSON that was validated."""
    found = error.errors(include_url=False)[: 2 * MOST_ERRORS]
    return [_field_error(item, data) for item in found if not _follows(item)][:MOST_ERRORS]


def _follows(item: Any) -> bool:
    """Whether a list is only too short because of items that were refused, which have errors of their own."""
    return bool(item["type"] == "too_short" and len(item["input"]) >= item["ctx"]["min_length"])


def _field_error(item: Any, data: Any) -> FieldError:
    path = _json_path(item["loc"], data, missing=item["type"] == "missing")
    name = abbreviate(str(path[-1])) if path else "the spec"
    value = item["input"]
    match item["type"]:
        case "missing":
            return FieldError(f"{name} is missing", pointer=pointer(path))
        case "union_tag_not_found":
            return FieldError(f"{name} has no kind: one of {', '.join(KINDS)}", pointer=pointer([*path, "kind"]))
        case "union_tag_invalid":
            kind = value["kind"]
            return FieldError(_unknown_kind(kind), pointer=pointer([*path, "kind"]), value=kind)
        case "extra_forbidden" | "unexpected_keyword_argument":
            return FieldError(f"{name} is not a known field here", pointer=pointer(path), value=value)
        case "value_error":
            return FieldError(item["msg"].removeprefix("Value error, "), pointer=pointer(path), value=value)
    said = item["msg"].removeprefix("Input ")
    return FieldError(f"{name} {said}, got {abbreviate(value)!r}", pointer=pointer(path), value=value)


def _unknown_kind(kind: object) -> str:
    """What to say of a kind that there is none of: the nearest ones, or all."""
    names = near_names(str(kind), KINDS, alike=0.5) or list(KINDS)
    return f"unknown kind {abbreviate(kind)!r}; is it one of {', '.join(names)}?"


def _json_path(location: Iterable[str | int], data: Any, *, missing: bool) -> list[str | int]:
    """Pydantic's location as a path through the real data: its names for the members of a union are no part of it."""
    path: list[str | int] = []
    parts = list(location)
    for index, part in enumerate(parts):
        if _has(data, part):
            data = data[part]
            path.append(part)
        elif missing and index == len(parts) - 1:
            path.append(part)
    return path


def _has(data: Any, part: str | int) -> bool:
    if isinstance(data, dict):
        return part in data
    return isinstance(data, list) and isinstance(part, int) and part < len(data)
