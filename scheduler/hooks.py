"""Functions that a low module calls and a high one defines, so that imports go one way."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Hook(Generic[P, R]):
    """A place for one function, which the module `provider` puts there: `hook.provide(function)`.

    Args:
        provider: the module that defines the function. It is imported when the hook is first called, if it has not
            been before.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._function: Callable[P, R] | None = None

    def provide(self, function: Callable[P, R]) -> None:
        """Put a function into this place."""
        self._function = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if self._function is None:
            import_module(self._provider)
        if self._function is None:
            raise LookupError(f"the module {self._provider} has not provided what this hook calls")
        return self._function(*args, **kwargs)
