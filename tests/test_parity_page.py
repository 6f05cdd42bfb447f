"""PARITY.md, the written proof, and the command that writes it."""

import math
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch.optim.lr_scheduler import StepLR

from scheduler import KINDS
from scheduler.builtin import NOT_TWINNED
from scheduler.libraries.transformers import ADAPTIVE

ROOT = Path(__file__).parent.parent
TWINS = [kind for kind in KINDS if kind.startswith(("torch.", "transformers.", "deepspeed."))]


def tables(page: str) -> list[list[dict[str, str]]]:
    """The page's Markdown tables: for each its rows, by heading."""
    blocks = [[cells(line) for line in part.splitlines()] for part in page.split("\n\n") if part.startswith("|")]
    return [[dict(zip(block[0], row, strict=True)) for row in block[2:]] for block in blocks]


def cells(line: str) -> list[str]:
    """One row's cells, without the marks of code."""
    return [cell.strip().strip("`") for cell in line.strip("|").split("|")]


@pytest.fixture(scope="module")
def page() -> list[list[dict[str, str]]]:
    """The tables of the committed page."""
    return tables((ROOT / "PARITY.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", TWINS)
def test_no_value_of_any_twin_differs(kind: str, page: list[list[dict[str, str]]]) -> None:
    """Each registered twin was compared over a million steps, and not one value differed."""
    rows = [row for row in page[1] if row["kind"] == kind]
    assert rows
    assert {(row["steps compared"], row["differing values"]) for row in rows} == {("1,000,000", "0")}


def test_the_page_names_nothing_else(page: list[list[dict[str, str]]]) -> None:
    """The page proves the registered twins alone, and gives the reason for each scheduler that has none."""
    assert {row["kind"] for row in page[1]} == set(TWINS)
    reasons = {f"torch.{name}": why for name, why in NOT_TWINNED.items()}
    reasons |= {f"transformers.{name}": why for name, why in ADAPTIVE.items()}
    assert {row["scheduler"]: row["reason"] for row in page[2]} == reasons


def test_momentum_is_proven_too(page: list[list[dict[str, str]]]) -> None:
    """Both names of the momentum column are among those compared, for each kind that drives it by itself."""
    for kind in ("torch.CyclicLR", "torch.OneCycleLR"):
        compared = {row["columns"] for row in page[1] if row["kind"] == kind}
        assert compared == {"lr, momentum", "lr, beta1"}


def test_the_command_writes_such_a_page(tmp_path: Path, page: list[list[dict[str, str]]]) -> None:
    """A short run steps the same cases, returns 0, and writes the page that it is asked for and no other."""
    before = (ROOT / "PARITY.md").stat().st_mtime_ns
    output = tmp_path / "page.md"
    command = [sys.executable, "-m", "benchmarks.parity", "--steps", "2000", "--output", str(output)]
    result = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=200)
    assert (result.returncode, result.stderr) == (0, "")
    written = tables(output.read_text(encoding="utf-8"))
    is_here = find_spec("deepspeed") is not None
    kinds = [row["kind"] for row in page[1] if is_here or not row["kind"].startswith("deepspeed.")]
    assert [row["kind"] for row in written[1]] == kinds
    assert {row["differing values"] for row in written[1]} == {"0"}
    assert (ROOT / "PARITY.md").stat().st_mtime_ns == before


def test_the_command_fails_where_a_value_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were one of torch's values another by one bit, the command would return 1 and the page would say so."""
    output, steps = tmp_path / "page.md", 1000

    class ChangedStepLR(StepLR):
        def get_lr(self) -> list[float | torch.Tensor]:
            rates: list[float | torch.Tensor] = super().get_lr()
            return [math.nextafter(rate, 1.0) for rate in rates] if self.last_epoch == steps - 1 else rates

    monkeypatch.setattr(torch.optim.lr_scheduler, "StepLR", ChangedStepLR)
    kinds = ["torch.ConstantLR", "torch.StepLR"]
    monkeypatch.setattr("sys.argv", ["parity", "--steps", str(steps), "--output", str(output), "--kinds", *kinds])
    with pytest.raises(SystemExit, match=r"^1$"):
        runpy.run_module("benchmarks.parity", run_name="__main__")
    page = output.read_text(encoding="utf-8")
    assert [row["differing values"] for row in tables(page)[1]] == ["0", "1"]
    assert "**1 of 2,000 values differ**" in page
