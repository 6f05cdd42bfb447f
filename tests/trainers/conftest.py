"""What the tests with real trainers share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.preloaded import TORCH, Preloaded


@pytest.fixture(scope="session")
def preloaded() -> Iterator[Preloaded]:
    """A process with torch, for all scripts of the session that use it."""
    with Preloaded(*TORCH, TORCH_CPP_LOG_LEVEL="ERROR") as process:
        yield process
