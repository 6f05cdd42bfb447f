"""JSON bodies as models: whatever is wrong with one is an error with a pointer to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from scheduler import Spec
from scheduler.messages.errors import rule
from service.errors import FieldError, InvalidRequestError, abbreviate
from service.settings import Settings
from service.strict_json import check_json, pointer
from service.tables.specs import read_spec

M = TypeVar("M", bound=BaseModel)


def read_model(body: bytes, model: type[M], settings: Settings) -> M:
    """Return a JSON body as a model. Raises `MalformedBodyError` and `InvalidRequestError`."""
    return model_of(check_json(body, max_depth=settings.max_depth, max_items=settings.max_items), model)


def model_of(data: Any, model: type[M]) -> M:
    """Return JSON data as a model. Raises `InvalidRequestError`."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        errors = [_field_error(item) for item in error.errors()]
        raise InvalidRequestError("; ".join(item.detail for item in errors), errors) from error


def spec_at(place: str, data: Any, settings: Settings) -> Spec:
    """Return the spec at this pointer of a body. Raises what `read_spec` raises, with pointers into the body."""
    with pointing_into(place):
        return read_spec(json.dumps(data).encode(), settings)


@contextmanager
def pointing_into(place: str) -> Iterator[None]:
    """Let the errors of a `with` block point into the part of the body that is at this pointer."""
    try:
        yield
    except InvalidRequestError as error:
        error.errors = [replace(item, pointer=f"{place}{item.pointer or ''}") for item in error.errors]
        raise


def _field_error(error: Any) -> FieldError:
    path = error["loc"]
    at, name = pointer(path), abbreviate(str(path[-1])) if path else "the body"
    if error["type"] == "missing":
        return FieldError(f"{name} is missing", pointer=at)
    if error["type"] == "extra_forbidden":
        return FieldError(f"{name} is not a member of this body", pointer=at, value=error["input"])
    detail = f"{name}: {rule(error)}, got {abbreviate(error['input'])!r}"
    return FieldError(detail, pointer=at, value=error["input"])
