"""A service in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.client.ranks import FolderService


@pytest.fixture
def service(tmp_path: Path) -> FolderService:
    (tmp_path / "service").mkdir()
    return FolderService(tmp_path / "service")
