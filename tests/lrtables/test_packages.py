"""Other software that has the name of one of our packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lrtables.packages import MARK, PACKAGES

ROOT = Path(__file__).parent.parent.parent


def run(script: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as people do: its folder comes first where Python looks for modules."""
    command = [sys.executable, "-W", "error", str(script)]
    return subprocess.run(command, cwd=script.parent, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def train(tmp_path: Path) -> Path:
    """A training script."""
    script = tmp_path / "train.py"
    script.write_text("import lrtables\nprint(lrtables.schedules.LinearWarmup(0.5, 2).get_lr(0))\n", encoding="utf-8")
    return script


@pytest.mark.parametrize("name", PACKAGES)
def test_each_package_carries_the_mark(name: str) -> None:
    """The mark by which a package is known to be ours is in its `__init__`."""
    assert MARK in (ROOT / name / "__init__.py").read_text(encoding="utf-8")


def test_a_script_beside_nothing_of_these_names_runs(train: Path) -> None:
    """Where nothing hides our packages the import works."""
    done = run(train)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.25\n", "")


@pytest.mark.parametrize("name", PACKAGES)
@pytest.mark.parametrize("form", ["{}.py", "{}/__init__.py"])
def test_a_module_beside_the_script_is_named(train: Path, name: str, form: str) -> None:
    """A file or a package that hides one of ours is named, with what to do; it is not run."""
    other = train.parent / form.format(name)
    other.parent.mkdir(exist_ok=True)
    other.write_text("raise SystemExit('the wrong module was run')\n", encoding="utf-8")
    hiding = other if form == "{}.py" else other.parent
    done = run(train)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith(
        f"ShadowedPackageError: lrtables: its package {name!r} is hidden by {other}, which Python finds first. "
        f"Rename {hiding}, or start the script with: python -P"
    )


def test_a_folder_without_an_init_hides_nothing(train: Path) -> None:
    """Python prefers an installed package to a plain folder of its name."""
    (train.parent / "client").mkdir()
    assert run(train).returncode == 0


def test_a_module_that_was_made_by_hand_is_named(train: Path) -> None:
    """A module that another library put into `sys.modules` under our name is no module of ours."""
    train.write_text("import sys, types\nsys.modules['client'] = types.ModuleType('client')\nimport lrtables\n")
    assert "its package 'client' is hidden by" in run(train).stderr


def test_the_command_line_says_so_in_one_line(train: Path) -> None:
    """`lrtables doctor`, as every command, prints the error without a traceback and exits with 1."""
    (train.parent / "scheduler.py").write_text("")
    command = [sys.executable, "-m", "lrtables", "doctor"]
    done = subprocess.run(command, cwd=train.parent, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("lrtables: its package 'scheduler' is hidden by")
    assert done.stderr.count("\n") == 1
