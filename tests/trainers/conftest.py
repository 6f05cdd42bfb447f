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


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the test of Ray, which takes longest: else all other processes of pytest wait for it in the end."""
    items.sort(key=lambda item: "ray" not in item.name.split("_"))
