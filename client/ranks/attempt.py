"""A call whose error the other ranks hear of before it is raised, so that none of them waits for ever."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from client.errors import RankFailedError
from client.ranks.group import Group
from client.ranks.proof import failures, gather

T = TypeVar("T")


class Attempt(Generic[T]):
    """What a call returned, or its error.

    Args:
        what: what the call does, in words: `get the table`.
        call: the call.
    """

    def __init__(self, what: str, call: Callable[[], T]) -> None:
        self._what = what
        self.value: T | None = None
        """What the call returned; None where it failed."""
        self.cause: Exception | None = None
        try:
            self.value = call()
        except Exception as error:  # whatever it is, the other ranks wait for this one
            self.cause = error

    @property
    def error(self) -> str | None:
        """The error in words; None where there was none."""
        return None if self.cause is None else f"{type(self.cause).__name__}: {self.cause}"

    @property
    def result(self) -> T:
        """What the call returned. Raises `RankFailedError` where it failed."""
        if self.cause is not None:
            raise RankFailedError(f"could not {self._what}: {self.error}") from self.cause
        return self.value  # type: ignore[return-value]  # what the call returned, which may be None

    def check(self, errors: Sequence[str | None]) -> None:
        """Raise `RankFailedError`, in the same words on every rank, where one of the ranks had an error.

        Args:
            errors: of each rank, in their order.
        """
        if text := failures(errors):
            raise RankFailedError(f"could not {self._what}, so every rank stops. {text}") from self.cause

    def settle(self, ranks: Group, *, timeout: float) -> T:
        """What the call returned, once every rank's has. Raises `RankFailedError` where one of them failed."""
        self.check(gather(ranks, self.error, timeout=timeout))
        return self.result
