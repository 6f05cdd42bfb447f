"""How long a request has waited for something to happen: time in which the server did not work for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from starlette.types import Scope

_WAITED = "lrtables.waited"  # seconds
_WAITS_SINCE = "lrtables.waits_since"  # on the clock of `perf_counter`


@contextmanager
def waiting(scope: Scope) -> Iterator[None]:
    """Count the time of a `with` block as waiting."""
    scope[_WAITS_SINCE] = perf_counter()
    try:
        yield
    finally:
        scope[_WAITED] = seconds_waited(scope)
        del scope[_WAITS_SINCE]


def seconds_waited(scope: Scope) -> float:
    """Return the seconds for which a request has waited, up to now if it still waits."""
    since: float | None = scope.get(_WAITS_SINCE)
    waited: float = scope.get(_WAITED, 0.0)
    return waited if since is None else waited + perf_counter() - since
