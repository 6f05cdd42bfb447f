"""The main job from end to end: a run with a name, two processes that share it, a change in mid-training, a crash.

`make demo` runs it. It leaves nothing behind but a picture, `demo.png`, and needs no network beyond this machine.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from client import Client
from client.commands.run_export import log_book
from scheduler import Table
from scheduler.custom import WarmupWithDecay

RUN = "demo/digits"
PLANNED = WarmupWithDecay(base_lr=0.2, warmup_steps=60, total_steps=800, min_lr=1e-3)
WORKERS = 2
AMENDED_AT, AHEAD, COOLDOWN = 200, 100, 200  # updates: when the change is made, how far ahead, how long it takes
CRASH_AFTER = 60  # updates after the change took effect
LONGEST = 120  # seconds to wait for anything
MEAN_OF = 40  # updates whose mean loss is drawn over the single ones
COLORS = ("#0072b2", "#d55e00", "#999999", "#009e73")  # told apart by colour-blind readers too


@contextmanager
def server(directory: Path, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server with its data in `directory`: its address and process. It is stopped at the end, whatever happens."""
    command = [sys.executable, "-m", "service", "serve", "--port", str(port), "--data-dir", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().strip() if process.stdout else ""
            if not address:
                raise SystemExit("The server did not start; its message is above.")
            yield address, process
        finally:
            process.terminate()


@contextmanager
def workers(url: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The workers, started with torchrun, which stops them all when one is lost."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={WORKERS}"]
    script = [str(Path(__file__).with_name("demo_worker.py")), "--url", url, "--folder", str(folder)]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    with (
        open(folder / "messages", "a") as messages,
        subprocess.Popen([sys.executable, *torchrun, *script], env=quiet, text=True, stderr=messages) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()


def applied(folder: Path, rank: int) -> dict[int, tuple[float, float]]:
    """Update to the rate and the loss that a worker noted; of one that was made again after the crash, the last."""
    file = folder / f"applied-{rank}"
    lines = file.read_text().splitlines() if file.exists() else []
    noted = [line.split() for line in lines if line.count(" ") == 2]
    return {int(update): (float(rate), float(loss)) for update, rate, loss in noted}


def wait_for(reached: Callable[[], bool], process: subprocess.Popen[str], folder: Path) -> None:
    """Wait until something is reached by the workers."""
    end = time.monotonic() + LONGEST
    while not reached():
        if process.poll() is not None or time.monotonic() > end:
            sys.exit((folder / "messages").read_text() + "The workers stopped, or hang; their messages are above.")
        time.sleep(0.05)


def position(folder: Path) -> int:
    """The number of updates that every worker has made."""
    return min(max(applied(folder, rank), default=-1) for rank in range(WORKERS)) + 1


def differences(table: Table, folder: Path) -> list[str]:
    """The problems found; empty if there are none."""
    wrong = []
    for rank in range(WORKERS):
        rates = {update: rate for update, (rate, _) in applied(folder, rank).items()}
        for step, planned in enumerate(table.lr):
            if rates.get(step) != planned:
                wrong.append(f"rank {rank} applied {rates.get(step)} in update {step}, and the table has {planned}")
                break
    accuracy = float((folder / "accuracy").read_text())
    if accuracy < 0.9:
        wrong.append(f"the accuracy is {accuracy:.1%}: below 90 % something is broken")
    return wrong


def draw(planned: Table, table: Table, change: int, crash: int, folder: Path, path: Path) -> None:
    """The plan, the change and the applied rates, and the loss, as a picture."""
    mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "font.size": 10})
    figure = Figure(figsize=(9, 6), layout="constrained")
    rates, losses = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    rates.plot(planned.lr, color=COLORS[2], linewidth=1.5, linestyle="--", label="planned: version 1")
    rates.plot(table.lr, color=COLORS[3], linewidth=6, alpha=0.4, label="amended: version 2")
    for rank in range(WORKERS):
        noted = applied(folder, rank)
        shown = [update for update in sorted(noted) if update % 20 == 10 * (rank % 2)]
        rates.plot(
            shown, [noted[update][0] for update in shown], "os"[rank % 2], color=COLORS[rank], markersize=4,
            label=f"applied by rank {rank}",
        )  # fmt: skip
    rates.set_ylabel("learning rate")
    rates.set_title(f"Run {RUN}: {WORKERS} workers applied the same rates bit for bit, through a change and a crash")
    rates.legend(frameon=False)
    loss = np.array([loss for _, (_, loss) in sorted(applied(folder, 0).items())])
    losses.plot(loss, color=COLORS[0], linewidth=0.5, alpha=0.3)
    losses.plot(
        np.arange(MEAN_OF - 1, len(loss)), np.convolve(loss, np.ones(MEAN_OF) / MEAN_OF, mode="valid"), color=COLORS[0]
    )
    losses.set(xlabel=f"update (table {table.digest[:16]}…)", ylabel="loss on rank 0", yscale="log")
    losses.set_xlim(0, planned.total_steps)
    for step, text, side in ((change, "cool down", "right"), (crash, "crash,\nno server", "left")):
        for axes in (rates, losses):
            axes.axvline(step, color="black", linewidth=0.8, linestyle=":")
        losses.annotate(text, (step, 1), (4 if side == "left" else -4, -4), xycoords=("data", "axes fraction"),
                        textcoords="offset points", fontsize=9, ha=side, va="top")  # fmt: skip
    for axes in (rates, losses):
        axes.grid(alpha=0.2)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, default=Path("demo.png"), help="where to save the plot (demo.png)")
    picture = parser.parse_args().picture
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        folder, data = Path(directory), Path(directory, "data")
        with server(data) as (url, serving), Client(url, cache=False) as client:
            run = client.create_run(RUN, PLANNED, reason="first plan", rules={"margin_steps": 50})
            planned = client.get(run)
            print(f"1. A server is running at {url}, and has a run:\n     {RUN}, version 1: {PLANNED!r}")
            print(f"   {WORKERS} workers start with torchrun. All they are told is the run's name ...", flush=True)
            with workers(url, folder) as process:
                wait_for(lambda: position(folder) >= AMENDED_AT, process, folder)
                change = position(folder) + AHEAD
                cooldown = {"template": "cooldown", "from_step": change, "length": COOLDOWN, "shape": "1-sqrt"}
                amended = client.amend(RUN, cooldown, reason="the loss is flat: cool down now")
                print(
                    f"""
2. In update {position(folder)} somebody decides: cool down, from update {change} on. The server proves that no rate
   before it changes, and refuses what lies behind the workers. This is version {amended.version}.""",
                    flush=True,
                )
                wait_for(lambda: position(folder) >= change + CRASH_AFTER, process, folder)
                serving.terminate()
                crash = position(folder)
                os.kill(int((folder / "pid-1").read_text()), signal.SIGKILL)
                process.wait(LONGEST)
            print(
                f"""
3. Both workers took it up in the same update. In update {crash} rank 1 is killed, and the server is stopped.
   The job is started again. Its checkpoint names the table, which is in the cache of this machine ...""",
                flush=True,
            )
            with workers(url, folder) as process:
                if process.wait(LONGEST):
                    sys.exit((folder / "messages").read_text() + "The workers stopped; their messages are above.")
        with server(data) as (url, _), Client(url, cache=False) as client:
            table = client.get(client.run(RUN))
            book = log_book(client, RUN).markdown(picture.name, None)
        if wrong := differences(table, folder):
            sys.exit("This is not as it should be:\n  " + "\n  ".join(wrong))
        accuracy = float((folder / "accuracy").read_text())
        draw(planned, table, change, crash, folder, picture)
    print(f"""
4. They noted the rate of every update. All {WORKERS} x {table.total_steps} are those of the run's table, bit for bit:
     {table.digest}
   Accuracy on digits they had not seen: {accuracy:.1%}. The server, started again, has the log book:
""")
    print("\n".join(f"     {line}" for line in book.split("## The whole")[0].splitlines()))
    print(f"\n5. Plan, change and applied rates are drawn in {picture}.")
    print(f"   All of this took {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    main()
