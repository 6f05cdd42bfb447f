"""A small disk for the cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers.small_disk import SmallDisk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A file system of 1 MiB."""
    directory = tmp_path / "disk"
    directory.mkdir()
    try:
        disk = SmallDisk(directory, 2**20)
    except PermissionError as error:
        pytest.skip(f"needs to mount a file system: {error}")
    with disk:
        yield disk
