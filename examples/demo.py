"""The main job from end to end: a server, and two processes that train with one table of learning rates.

`make demo` runs it. It leaves nothing behind but a picture, `demo.png`, and needs no network beyond this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from client import Client
from scheduler import Spec, Table, parse

WORKERS = 2
MEAN_OF = 40  # updates whose mean loss is drawn over the single ones
COLORS = ("#0072b2", "#d55e00", "#999999")  # told apart by colour-blind readers too


@contextmanager
def server(directory: Path) -> Iterator[str]:
    """A server with its data in `directory`; its address. It is stopped at the end, whatever happens."""
    command = [sys.executable, "-m", "service", "serve", "--port", "0", "--data-dir", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().strip() if process.stdout else ""
            if not address:
                raise SystemExit("The server did not start; its message is above.")
            yield address
        finally:
            process.terminate()


def train(url: str, report: Path) -> dict[str, Any]:
    """Run the workers with torchrun; what they report."""
    worker = Path(__file__).with_name("demo_worker.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={WORKERS}"]
    quiet = {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    done = subprocess.run(
        [*command, str(worker), "--url", url, "--report", str(report)], env={**os.environ, **quiet}, check=False
    )
    if done.returncode:
        raise SystemExit("The workers stopped with an error; its message is above.")
    content: dict[str, Any] = json.loads(report.read_text())
    return content


def differences(table: Table, report: dict[str, Any]) -> list[str]:
    """The problems found; empty if there are none."""
    wrong = []
    for rank, applied in enumerate(report["applied"]):
        same = np.array(applied).view(np.int64) == table.lr.view(np.int64)
        if not same.all():
            step = int(np.argmin(same))
            wrong.append(f"rank {rank} applied {applied[step]} at step {step}, and the table has {table.lr[step]}")
    if report["accuracy"] < 0.9:
        wrong.append(f"the accuracy is {report['accuracy']:.1%}: below 90 % something is broken")
    return wrong


def draw(table: Table, report: dict[str, Any], path: Path) -> None:
    """The planned and the applied rates, and the loss, as a picture."""
    mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "font.size": 10})
    figure = Figure(figsize=(9, 6), layout="constrained")
    rates, losses = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    steps = np.arange(table.total_steps)
    rates.plot(steps, table.lr, color=COLORS[2], linewidth=5, alpha=0.5, label="planned: the table on the server")
    for rank, applied in enumerate(report["applied"]):
        shown = slice(10 * rank, None, 20)
        rates.plot(
            steps[shown], applied[shown], "os"[rank], color=COLORS[rank], markersize=5, label=f"applied by rank {rank}"
        )
    rates.set_ylabel("learning rate")
    rates.set_title(
        f"One table, {len(report['applied'])} workers, {table.total_steps} updates: the same rates bit for bit"
    )
    rates.legend(frameon=False)
    losses.plot(steps, report["losses"], color=COLORS[0], linewidth=0.5, alpha=0.3)
    mean = np.convolve(report["losses"], np.ones(MEAN_OF) / MEAN_OF, mode="valid")
    losses.plot(steps[MEAN_OF - 1 :], mean, color=COLORS[0], linewidth=1.5)
    losses.set(
        xlabel=f"update (table {table.digest[:16]}…)", ylabel="loss on rank 0", yscale="log", xlim=(0, len(steps))
    )
    for axes in (rates, losses):
        axes.axvline(report["resumed_at"], color="black", linewidth=0.8, linestyle=":")
        axes.grid(alpha=0.2)
    losses.text(
        report["resumed_at"] + 8, max(report["losses"]) / 2, "interrupted and resumed\nfrom a checkpoint", fontsize=9
    )
    figure.savefig(path, dpi=120)


def tell(table: Table, report: dict[str, Any]) -> None:
    """The report as text."""
    parameters = {name: value for name, value in report["schedule"].items() if name != "kind"}
    longer = parse({**report["schedule"], "total_steps": table.total_steps + 1})
    other = Table.compute(Spec(schedule=longer, total_steps=table.total_steps))
    times = " and ".join(f"{1000 * seconds:.0f} ms" for seconds in report["fetched"])
    print(f"""
2. Both workers asked the server for the same learning-rate schedule:
     {type(longer).__name__}({", ".join(f"{name}={value}" for name, value in parameters.items())})
   and got the same table: {table.total_steps} rates, {table.nbytes} bytes, in {times}.
   Its name is the SHA-256 of its values:
     {table.digest}
   They compared names before the first update. Had one of them planned for a single step
   more, its table would be {other.digest[:16]}..., and both would have stopped there.

3. They trained a classifier of handwritten digits together: {table.total_steps} updates in {report["seconds"]:.1f} s.
   Before update {report["resumed_at"]} they were interrupted. The checkpoint holds a position and the
   table's name, so they fetched the same table again and went on with rate {table.lr[report["resumed_at"]]:.6f}.

4. Each worker noted the rate of every update. All {len(report["applied"])} x {table.total_steps} of them are those of
   the table, bit for bit. Accuracy on digits they had not seen: {report["accuracy"]:.1%}.""")


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, default=Path("demo.png"), help="where to save the plot (demo.png)")
    picture = parser.parse_args().picture
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory, server(Path(directory, "data")) as url:
        print(f"1. A server is running at {url}, with an empty data directory.")
        print(f"   Starting {WORKERS} workers with torchrun ...", flush=True)
        report = train(url, Path(directory, "report.json"))
        with Client(url) as client:
            table = client.get(report["digest"])
    if wrong := differences(table, report):
        sys.exit("This is not as it should be:\n  " + "\n  ".join(wrong))
    tell(table, report)
    draw(table, report, picture)
    print(f"\n5. The server is stopped. Planned and applied rates are drawn in {picture}.")
    print(f"   All of this took {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    main()
