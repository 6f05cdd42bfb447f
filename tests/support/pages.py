"""A page's commands, run as they stand.

Every fenced `bash` and `python` block runs in the order of the page, in one temporary folder, with this environment's
commands first in PATH, and must exit 0. An HTML comment in the line above a block says what else happens to it:

    <!-- test: file: train.py -->          the block is written to that file, for a later block to run
    <!-- test: background -->              the block goes on running; the next one starts once it has printed a line
    <!-- test: background: listening -->   the same, once it has printed a line with this text
    <!-- test: skip: reason -->            the block is not run, for this reason

The server's usual port may be taken on this machine, so 8000 stands for a free port throughout.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

from tests.support.preloaded import Preloaded, Script

RUN = {"bash": ["bash", "-euo", "pipefail"], "python": [sys.executable]}
SHOWN = {"text", "json", "toml", "yaml", "csv", "dockerfile"}  # languages that are there to be read
FENCE = re.compile(r"^ *(`{3,}|~{3,}) *(\S*).*$")
DIRECTIVE = re.compile(r"^ *<!-- *test: *(\w+)(?:: *(.*?))? *-->$")
NEEDS_TEXT = {"file": True, "skip": True, "background": False}
PATIENCE = 120.0  # seconds for a background block to become ready


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, what it holds, what the comment above it says."""

    line: int
    language: str
    text: str
    action: str = "run"
    detail: str = ""


def blocks(page: str) -> list[Block]:
    """The page's runnable blocks. A fence, language or comment that the harness does not know is an error."""
    found: list[Block] = []
    rest = iter(enumerate(page.splitlines(), start=1))
    directive: tuple[str, str] | None = None
    for number, line in rest:
        if match := FENCE.match(line):
            block = Block(number, match[2], _body(rest, match[1], number), *(directive or ()))
            found += [block] if _is_runnable(block) else []
            directive = None
            continue
        assert directive is None, f"line {number}: a test comment must stand right above a block"
        directive = _directive(number, line)
    assert directive is None, "the last test comment has no block"
    return found


def _body(rest: Iterator[tuple[int, str]], fence: str, start: int) -> str:
    """The lines up to the closing fence."""
    body: list[str] = []
    for _, line in rest:
        if line.strip() == fence:
            return "\n".join(body) + "\n"
        body.append(line)
    raise AssertionError(f"line {start}: the block is not closed")


def _is_runnable(block: Block) -> bool:
    """Whether the block is for running; one that is for reading takes no comment but `file`."""
    if block.language in RUN or block.action == "file":
        return True
    assert block.language in SHOWN, f"line {block.line}: unknown language {block.language!r}"
    assert block.action == "run", f"line {block.line}: a {block.language} block is not run, so it needs no comment"
    return False


def _directive(number: int, line: str) -> tuple[str, str] | None:
    """What a test comment says; None for any other line."""
    if "<!-- test" not in line.replace("<!--test", "<!-- test"):
        return None
    match = DIRECTIVE.match(line)
    assert match, f"line {number}: not a test comment: {line}"
    assert match[1] in NEEDS_TEXT, f"line {number}: unknown test comment {match[1]!r}"
    assert match[2] or not NEEDS_TEXT[match[1]], f"line {number}: {match[1]} needs a text"
    return match[1], match[2] or ""


class Page:
    """One run of a page: its folder, its port, and what it has running."""

    def __init__(
        self,
        folder: Path,
        port: int,
        running: ExitStack,
        *,
        warnings: str = "error",
        preloaded: Preloaded | None = None,
    ) -> None:
        self.folder = folder
        self.port = port
        self._warnings = warnings
        self._preloaded = preloaded
        self._running = running

    def play(self, block: Block) -> str:
        """Do with the block what its comment says; return what it printed."""
        actions: dict[str, Callable[[Block], str]] = {
            "run": self._run,
            "background": self._start,
            "file": self._write,
            "skip": lambda block: f"skipped: {block.detail}\n",
        }
        return actions[block.action](block)

    def _write(self, block: Block) -> str:
        (self.folder / block.detail).write_text(self._text(block), encoding="utf-8")
        return ""

    def _run(self, block: Block) -> str:
        done = self._ended(block)
        assert done.returncode == 0, f"line {block.line}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        assert "ScheduleWarning" not in done.stderr, f"line {block.line} warns\n{done.stderr}"
        return done.stdout

    def _ended(self, block: Block) -> subprocess.CompletedProcess[str] | Script:
        if self._preloaded and block.language == "python":
            return self._preloaded.run(
                [str(self._script(block))],
                folder=self.folder,
                environment=self._environment(),
                warnings=self._warnings,
            )
        return subprocess.run(
            self._command(block), cwd=self.folder, env=self._environment(), capture_output=True, text=True, check=False
        )

    def _start(self, block: Block) -> str:
        output = self.folder / f"output-{block.line}.txt"
        with output.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(
                self._command(block),
                cwd=self.folder,
                env=self._environment(),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.callback(_end, process)
        return _wait_for_line(process, output, block)

    def _command(self, block: Block) -> list[str]:
        options = ["-W", self._warnings] if block.language == "python" else []
        return [*RUN[block.language], *options, str(self._script(block))]

    def _script(self, block: Block) -> Path:
        script = self.folder / f"block-{block.line}.{block.language}"
        script.write_text(self._text(block), encoding="utf-8")
        return script

    def _text(self, block: Block) -> str:
        return re.sub(r"\b8000\b", str(self.port), block.text)

    def _environment(self) -> dict[str, str]:
        """This process's environment, in which nothing is read from or left in the user's home."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "HOME": str(self.folder), "LRTABLES_PORT": str(self.port), "PYTHONUNBUFFERED": "1"}
        return {**os.environ, **own, "LRTABLES_CACHE": str(self.folder / "cache")}


def _wait_for_line(process: subprocess.Popen[bytes], output: Path, block: Block) -> str:
    """What the process has printed once a whole line of it holds the block's text."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        printed = output.read_text(encoding="utf-8")
        if any(block.detail in line for line in printed.splitlines(keepends=True) if line.endswith("\n")):
            return printed
        assert not ended, f"line {block.line}: exit {process.returncode}\n{printed}"
        time.sleep(0.05)
    raise AssertionError(f"line {block.line}: no line with {block.detail!r} in {PATIENCE} s\n{printed}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop a background block with all that it started, and wait for it."""
    if process.poll() is None:
        os.killpg(process.pid, SIGTERM)
    process.wait(timeout=PATIENCE)
    _await_group(process.pid)


def _await_group(group: int) -> None:
    """Wait until nothing that the block started is left: the shell may end before the server it ran."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError(f"a background block's processes are still there after {PATIENCE} s")


@contextmanager
def page(folder: Path, port: int, *, warnings: str = "error", preloaded: Preloaded | None = None) -> Iterator[Page]:
    """A page to play in that folder; at the end, what it left running is stopped.

    `warnings` is Python's filter for every warning in its Python blocks. A ScheduleWarning is refused in any case.
    Python blocks run in processes forked from the one that is `preloaded`, if it is given.
    """
    with ExitStack() as running:
        yield Page(folder, port, running, warnings=warnings, preloaded=preloaded)


def play(
    text: str, folder: Path, port: int = 8000, *, warnings: str = "error", preloaded: Preloaded | None = None
) -> list[str]:
    """What each block of the page printed."""
    with page(folder, port, warnings=warnings, preloaded=preloaded) as playing:
        return [playing.play(block) for block in blocks(text)]
