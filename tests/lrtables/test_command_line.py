"""`lrtables` itself: its version, whichever command is asked."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from lrtables.__main__ import main
from scheduler.__main__ import main as train

VERSION = f"lrtables {version('lrtables')}\n"


@pytest.mark.parametrize("words", ["--version", "serve --version", "show --version", "run --version"])
def test_every_command_says_the_version(capsys: pytest.CaptureFixture[str], words: str) -> None:
    """`--version` of the command line and of its commands prints the version of lrtables."""
    with pytest.raises(SystemExit, match=r"^0$"):
        main(words.split())
    assert capsys.readouterr().out == VERSION


def test_the_training_says_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m scheduler --version` prints it, too."""
    with pytest.raises(SystemExit, match=r"^0$"):
        train(["--version"])
    assert capsys.readouterr().out == VERSION


def test_the_version_of_a_run_stays_an_option_of_audit(capsys: pytest.CaptureFixture[str]) -> None:
    """Where `--version` names a run's version, it still does."""
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["audit", "--help"])
    assert "an earlier version of the run" in capsys.readouterr().out


def test_an_output_that_cannot_be_written_is_said_in_one_line() -> None:
    """A full disk is status 1 and one line; who closes the output is not told of it, and gets status 0."""
    command = f"{sys.executable} -m lrtables show Constant 1"
    script = f"{command} > /dev/full; echo $?; {command} >&-; echo $?; {command} | head -0; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "0", "0"]
    assert done.stderr == "lrtables: the output cannot be written: No space left on device\n"
