"""README and the pages of docs/, run as they stand by `tests.support.pages`, which is tested here too."""

import re
import socket
from pathlib import Path

import pytest

from tests.support.pages import blocks, page, play

ROOT = Path(__file__).parent.parent


def test_blocks_run_in_order_in_one_folder(tmp_path: Path) -> None:
    """A file that one block writes is there for the next, whatever the language."""
    text = """
```bash
echo 3 > steps.txt
```
prose
```python
from pathlib import Path

print(int(Path("steps.txt").read_text()) + 1)
```
"""
    assert play(text, tmp_path) == ["", "4\n"]


@pytest.mark.needs("curl")
def test_a_background_block_serves_the_blocks_after_it(tmp_path: Path, free_port: int) -> None:
    """A server started by one block answers the next, on a free port in place of 8000, and is stopped at the end."""
    text = """
<!-- test: background: Serving -->
```bash
echo hello > hello.txt
python -m http.server --bind 127.0.0.1 8000
```
```bash
curl --fail --silent http://127.0.0.1:8000/hello.txt
```
"""
    with page(tmp_path, free_port) as playing:
        _, printed = [playing.play(block) for block in blocks(text)]
    assert printed == "hello\n"
    with pytest.raises(ConnectionRefusedError, match="refused"):
        socket.create_connection(("127.0.0.1", free_port), timeout=5)


def test_a_file_block_is_written_and_not_run(tmp_path: Path) -> None:
    """A block marked as a file is what a later block runs."""
    text = """
<!-- test: file: train.py -->
```python
print("trained")
```
```bash
python train.py
```
"""
    assert play(text, tmp_path) == ["", "trained\n"]


def test_a_skipped_block_says_why(tmp_path: Path) -> None:
    """A block is left out only for a stated reason."""
    text = "<!-- test: skip: it runs this suite -->\n```bash\nexit 1\n```\n"
    assert play(text, tmp_path) == ["skipped: it runs this suite\n"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("```bash\nfalse | true\n```\n", "line 1: exit 1", id="a command that fails"),
        pytest.param("<!-- test: background -->\n```bash\nexit 3\n```\n", "line 2: exit 3", id="a server that ends"),
        pytest.param("```sh\ntrue\n```\n", "unknown language 'sh'", id="an unknown language"),
        pytest.param("```\ntrue\n```\n", "unknown language ''", id="no language"),
        pytest.param("```bash\ntrue\n", "not closed", id="an open block"),
        pytest.param("<!-- test: skip -->\n```bash\ntrue\n```\n", "skip needs a text", id="no reason"),
        pytest.param("<!-- test: ignore: x -->\n```bash\ntrue\n```\n", "unknown test comment", id="an unknown comment"),
        pytest.param("<!-- test skip -->\n```bash\ntrue\n```\n", "not a test comment", id="a misspelt comment"),
        pytest.param("<!-- test: skip: x -->\n\n```bash\ntrue\n```\n", "right above a block", id="a comment far above"),
        pytest.param("<!-- test: skip: x -->", "has no block", id="a comment at the end"),
        pytest.param("<!-- test: skip: x -->\n```json\n{}\n```\n", "needs no comment", id="a comment on shown text"),
    ],
)
def test_nothing_is_passed_over_in_silence(text: str, message: str, tmp_path: Path) -> None:
    """A block that fails, and a fence, language or comment that the harness does not know, fail the test."""
    with pytest.raises(AssertionError, match=re.escape(message)):
        play(text, tmp_path)


@pytest.mark.slow(25)
@pytest.mark.needs("bash", "curl")
def test_the_readme_does_what_it_says(tmp_path: Path, free_port: int) -> None:
    """Every command and program in README runs and exits 0."""
    page_text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert blocks(page_text), "README has no block to run"
    play(page_text, tmp_path, free_port)


def test_words_are_explained_before_they_are_used() -> None:
    """A word of the glossary that comes before it is explained where it comes first, in italics."""
    page_text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, glossary = page_text.split("## Words", maxsplit=1)
    words = re.findall(r"^\| (\w+) \| (?!meaning)", glossary.split("## ", maxsplit=1)[0], re.MULTILINE)
    assert {"schedule", "spec", "table", "digest", "twin", "axis"} <= set(words)
    prose = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", before, flags=re.DOTALL)
    for word in words:
        first = re.search(rf"\b{word}s?\b", prose)
        assert first is None or prose[first.start() - 1] == "*", f"{word} is not explained"


def _marks(path: Path) -> list[pytest.MarkDecorator]:
    """A page that starts a server takes more than a few seconds."""
    return [pytest.mark.slow(8)] if "<!-- test: background" in path.read_text(encoding="utf-8") else []


@pytest.mark.needs("bash", "curl")
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=_marks(path)) for path in sorted((ROOT / "docs").glob("*.md"))],
)
def test_the_pages_do_what_they_say(path: Path, tmp_path: Path, free_port: int) -> None:
    """Every command and program of the pages in docs/ runs and exits 0, each page in a folder of its own."""
    page_text = path.read_text(encoding="utf-8")
    assert blocks(page_text), f"{path.name} has no block to run"
    play(page_text, tmp_path, free_port)
