"""Everything that can go wrong, as exceptions. What each means in HTTP is said in `http/error_status.py`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from scheduler.texts import encodable

MOST_ERRORS = 20
"""The most bad values that one response names: a list of a thousand bad schedules must not give a thousand errors."""
_LONGEST = 100  # characters of a bad value that a response repeats
_LONGEST_POINTER = 1000  # characters
_SAFE_INTEGER = 2**53 - 1  # beyond it, many JSON readers would round the number
_ABSENT = object()


@dataclass(frozen=True)
class FieldError:
    """One bad value: where it is (a JSON pointer into the body, or a parameter's name), what is wrong, what it was."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None
    value: Any = _ABSENT

    def to_dict(self) -> dict[str, Any]:
        """The error as a JSON object. A long value is abbreviated; of a long pointer, the first parts are kept."""
        data = {"pointer": _short(self.pointer), "parameter": abbreviate(self.parameter), "detail": self.detail}
        if self.value is not _ABSENT:
            data["value"] = abbreviate(self.value)
        return {name: value for name, value in data.items() if value is not None or name == "value"}


def _short(pointer: str | None) -> str | None:
    """The pointer; of a long one the first parts, which point to what encloses the value."""
    if pointer is None or len(pointer) <= _LONGEST_POINTER:
        return pointer
    return pointer[: pointer.rfind("/", 0, _LONGEST_POINTER)]


def abbreviate(value: Any) -> Any:
    """A value as a response repeats it: as it came where it is short, else a text that says what it was."""
    if isinstance(value, (dict, list, tuple)):
        return f"an object with {len(value)} members" if isinstance(value, dict) else f"a list of {len(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if isinstance(value, str) or (isinstance(value, int) and abs(value) > _SAFE_INTEGER):
        text = encodable(str(value))  # a lone surrogate could not be sent
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
    return value


class ServiceError(Exception):
    """What the service refuses or fails to do; the message is for the caller. `errors` names the bad values."""

    def __init__(self, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.errors = errors


class InvalidRequestError(ServiceError):
    """Values in the request that are not allowed."""

    @classmethod
    def of_parameter(cls, name: str, detail: str, value: object) -> Self:
        """The error for one parameter of an address, or one header."""
        return cls(detail, [FieldError(detail, parameter=name, value=value)])


class LimitExceededError(InvalidRequestError):
    """A request for more than this server's settings allow."""


class NotComputableError(InvalidRequestError):
    """A valid spec without a table: its values leave the range of float64, or it names a table that is not known."""


class MalformedBodyError(ServiceError):
    """A body that is not JSON as RFC 8259 has it, or means two things at once."""


class BodyTooLargeError(ServiceError):
    """A body beyond the limit."""


class QueryTooLongError(ServiceError):
    """A query of an address beyond the limit."""


class UnsupportedMediaTypeError(ServiceError):
    """A body in another format than the route takes."""


class NotAcceptableError(ServiceError):
    """No format that the client accepts."""


class TableNotFoundError(ServiceError):
    """No table with such a digest."""


class KindNotFoundError(ServiceError):
    """No schedule of such a kind."""


class TableLostError(ServiceError):
    """A stored table that is damaged, and cannot be computed again to the same digest."""


class PreconditionFailedError(ServiceError):
    """A table that is not the one that If-Match means."""


class RangeNotSatisfiableError(ServiceError):
    """A range of bytes that begins past the end."""


class UnauthenticatedError(ServiceError):
    """No token, or one that is not known, has expired or was revoked."""


class ForbiddenError(ServiceError):
    """A token that does not allow this; `scope` is what it would need."""

    def __init__(self, detail: str, scope: str) -> None:
        super().__init__(detail)
        self.scope = scope


class BusyError(ServiceError):
    """Nothing is wrong with the request but the moment: worth a retry after `retry_after` seconds."""

    def __init__(self, detail: str, retry_after: int = 1, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail, errors)
        self.retry_after = retry_after


class QueueFullError(BusyError):
    """More work is under way, or waits, than this server takes: of computations, `max_queue` wait."""


class DeadlineExceededError(BusyError):
    """A computation that took longer than `compute_seconds`, or a table that was too long in coming."""


class ComputationLostError(BusyError):
    """The process that computed a table has ended before it was done, or none could be started."""


class NotReadyError(BusyError):
    """The server cannot serve tables, not yet or not any more."""


class RateLimitedError(BusyError):
    """A token that has asked for more than its limits allow for now."""


class StorageError(Exception):
    """The store does not do what it was asked for: full, read-only, gone. Worth a retry, unlike a missing object."""


class DatabaseError(StorageError):
    """The database does not do what it was asked for: gone, hung, full."""
