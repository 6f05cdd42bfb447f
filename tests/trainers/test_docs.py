"""Every page of docs/trainers/, run block by block with the real trainers."""

from pathlib import Path

import pytest

from tests.support.pages import blocks, play
from tests.support.preloaded import Preloaded

PAGES = sorted((Path(__file__).parents[2] / "docs" / "trainers").glob("*.md"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_pages_of_the_trainers_do_what_they_say(
    path: Path, tmp_path: Path, free_port: int, preloaded: Preloaded
) -> None:
    """Every command and program of the page runs, exits 0 and gives no ScheduleWarning; other packages may warn."""
    page_text = path.read_text(encoding="utf-8")
    assert blocks(page_text), f"{path.name} has no block to run"
    play(page_text, tmp_path, free_port, warnings="default", preloaded=preloaded)
