"""The proof that every twin equals the real scheduler, written to PARITY.md. Run: make trainers parity

Without DeepSpeed, which `make trainers` installs, its twins are left out, and no page is written unless `--output`
names one.

The real class is stepped on a real optimizer, what is in force at each step is noted, and every column's values are
compared with the twin's as 64-bit integers. A shorter run, in steps (`--steps`) or in kinds (`--kinds`), writes no page
unless `--output` names one.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
from collections.abc import Container, Iterable, Mapping
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import transformers

from benchmarks.cases import deepspeed_twins, parameters, quick_twins, slow_twins
from benchmarks.clock import fresh, seconds
from benchmarks.real import Real, real
from scheduler import KINDS, Schedule
from scheduler.builtin import NOT_TWINNED
from scheduler.fields import Values
from scheduler.libraries.transformers import ADAPTIVE

STEPS = 1_000_000
HAS_DEEPSPEED = find_spec("deepspeed") is not None
PAGE = Path(__file__).parent.parent / "PARITY.md"

HEADINGS = (
    "kind",
    "parameters, where not the default",
    "columns",
    "steps compared",
    "differing values",
    "stepping, ns/step",
    "computing, ns/step",
    "ratio",
)
INTRODUCTION = """\
# Parity

Every twin of a scheduler of PyTorch, Transformers or DeepSpeed equals the real one, bit for bit. The real class is
stepped on a real optimizer; what is in force during each update is noted, and every value of every column is compared
with the twin's as a 64-bit integer.
"""
REPRODUCTION = """\
## How to reproduce

`make trainers parity` runs all of this anew, in some minutes, and writes this page; it fails if one value differs.

Times are those of one thread on a processor: they move with the machine, the values do not. Stepping includes noting
the values; computing is the median of three computations of all columns, by an object that has computed nothing before.

The parameters are those of the real class, and `base_lr` the optimizer's rate. The test suite compares thousands of
further parameters, drawn at random, over fewer steps.
"""


class Comparison(NamedTuple):
    """One twin beside its original; times in ns per step."""

    twin: Schedule
    steps: int
    differing: int
    stepping: float
    computing: float

    @property
    def compared(self) -> int:
        """Number of values compared."""
        return self.steps * len(self.twin.column_names)

    @property
    def cells(self) -> list[str]:
        """A row of the table."""
        names, ratio = ", ".join(self.twin.column_names), self.stepping / self.computing
        counts = [f"{self.steps:,}", f"{self.differing:,}"]
        times = [f"{self.stepping:,.0f}", f"{self.computing:.1f}", f"{ratio:,.0f}"]
        return [f"`{self.twin.kind}`", f"`{parameters(self.twin)}`", names, *counts, *times]


def cases(steps: int, kinds: Container[str]) -> list[Schedule]:
    """Every twin of these kinds, by kind; with a step more than the longest of them have, to see what follows it."""
    made = [*quick_twins(steps - 1), *slow_twins(steps - 1), *(deepspeed_twins(steps - 1) if HAS_DEEPSPEED else [])]
    twins = [twin for twin in made if twin.kind in kinds]
    return sorted(twins, key=lambda twin: twin.kind)


def step(original: Real, columns: dict[str, Values], steps: int) -> None:
    """Note what the real scheduler puts in force during updates 0..steps-1, in each column."""
    optimizer, scheduler = original
    group = optimizer.param_groups[0]
    for update in range(steps):
        for name, values in columns.items():
            values[update] = group["betas"][int(name[-1]) - 1] if name.startswith("beta") else group[name]
        if update + 1 < steps:
            scheduler.step()


def compare(twin: Schedule, steps: int) -> Comparison:
    """Step the original, compute the twin, and count the values that differ."""
    original, expected = real(twin), {name: np.empty(steps) for name in twin.column_names}
    stepping = seconds(lambda: step(original, expected, steps))
    actual = twin.columns(steps)
    computing = statistics.median(seconds(partial(fresh(twin).columns, steps)) for _ in range(3))
    differing = sum(np.count_nonzero(actual[name].view("i8") != expected[name].view("i8")) for name in expected)
    return Comparison(twin, steps, int(differing), stepping / steps * 1e9, computing / steps * 1e9)


def page(comparisons: list[Comparison]) -> str:
    """PARITY.md."""
    compared, differing = (sum(each) for each in zip(*((c.compared, c.differing) for c in comparisons), strict=True))
    kinds = len({comparison.twin.kind for comparison in comparisons})
    result = f"**{differing:,} of {compared:,} values differ**, in {len(comparisons)} cases of {kinds} kinds.\n"
    versions = table(("with", "version"), versions_in_use().items())
    results = table(HEADINGS, (comparison.cells for comparison in comparisons), numbers=len(HEADINGS) - 3)
    return "\n".join([INTRODUCTION, result, versions, results, REPRODUCTION, "## Without a twin\n", reasons()])


def versions_in_use() -> dict[str, str]:
    """The versions and the machine of the measurement."""
    return {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        **({"deepspeed": version("deepspeed")} if HAS_DEEPSPEED else {}),
        "numpy": np.__version__,
        "Python": platform.python_version(),
        "C library": " ".join(platform.libc_ver()),
        "machine": platform.machine(),
    }


def reasons() -> str:
    """The schedulers that no table can be made of beforehand, and why."""
    libraries: Mapping[str, Mapping[str, str]] = {"torch": NOT_TWINNED, "transformers": ADAPTIVE}
    rows = [(f"`{library}.{name}`", why) for library, names in libraries.items() for name, why in names.items()]
    return table(("scheduler", "reason"), rows)


def table(headings: Iterable[str], rows: Iterable[Iterable[str]], *, numbers: int = 0) -> str:
    """A Markdown table, its last columns numbers."""
    names = list(headings)
    rule = ["---"] * (len(names) - numbers) + ["--:"] * numbers
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (names, rule, *rows))


def main() -> int:
    """Compare everything; 1 if a value differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=STEPS, help=f"steps of each comparison ({STEPS:,})")
    parser.add_argument("--kinds", nargs="+", default=tuple(KINDS), choices=tuple(KINDS), metavar="KIND")
    parser.add_argument("--output", type=Path, help="the page to write (PARITY.md, if nothing else is given)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    comparisons = []
    for twin in cases(options.steps, options.kinds):
        comparisons.append(compare(twin, options.steps))
        print(f"{comparisons[-1].differing:>9,} differ  {twin.kind}({parameters(twin)})", flush=True)
    if output := options.output or (
        PAGE if (options.steps, options.kinds, HAS_DEEPSPEED) == (STEPS, tuple(KINDS), True) else None
    ):
        output.write_text(page(comparisons), encoding="utf-8")
    return int(any(comparison.differing for comparison in comparisons))


if __name__ == "__main__":
    sys.exit(main())
