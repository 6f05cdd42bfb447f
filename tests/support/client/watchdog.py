"""Calls that must end: one that hangs fails its test instead of holding it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")

NEVER = 60.0
"""Seconds after which a call with a deadline of a few is taken for one that does not end."""


def ending(function: Callable[[], Result], seconds: float = NEVER) -> Result:
    """The result of a function that is called in a thread; `TimeoutError` where it has none after so many seconds."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result(seconds)
