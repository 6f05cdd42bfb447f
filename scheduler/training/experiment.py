"""The runs of `python -m scheduler`: a training, or two side by side, printed and saved as pictures (extra `demo`)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from torch.optim import SGD
from tqdm import tqdm

from scheduler.table import Table
from scheduler.training.comparison import custom_lines, recorded, twin, verdict
from scheduler.training.train import BuiltIn, Digits, Driver, Epoch, FromTable, Run, train
from scheduler.views.chart import number
from scheduler.views.difference import difference
from scheduler.views.plot import plot, plot_lines


class Experiment:
    """The training that the options describe, telling `say` line by line what happens.

    Raises `OSError` where the pictures' folder cannot be made.

    One torch thread: the classifier is small, and its sums then have one order on every machine.
    """

    def __init__(self, options: argparse.Namespace, say: Callable[[str], object]) -> None:
        torch.set_num_threads(1)
        self._say = say
        self._compare: bool = options.compare
        self._settings = options.settings
        self._no_bar = False if options.progress else None  # None: tqdm asks whether stderr is a terminal
        self._output = Path(options.output or f"runs/{options.scheduler}")
        self._output.mkdir(parents=True, exist_ok=True)
        self._digits = Digits.load()
        self._batches = self._digits.batches(self._settings.batch_size)
        self._parameters = self._settings.parameters(self._batches)

    def run(self) -> int:
        """Train, print and save. Returns 0, or 1 where a comparison found a difference."""
        table = twin(self._settings, self._batches) if self._compare else None
        if table is not None and self._settings.choice.per_batch and "momentum" not in table.columns:
            self._parameters["cycle_momentum"] = False
        self._introduce()
        built_in = self._train("built-in", self._built_in)
        if not self._compare:
            self._save(built_in)
            return 0
        return self._run_again(built_in, table)

    def _run_again(self, built_in: Run, table: Table | None) -> int:
        """Train from a table what torch's scheduler has trained, and compare."""
        choice = self._settings.choice
        origin = f"computed from {choice.kind}"
        if table is None:
            table = recorded(self._settings, self._batches, built_in.rates, built_in.momenta)
            reason = "they depend on the losses" if choice.watches_loss else f"there is no kind {choice.kind}"
            origin = f"of the rates recorded just now, since {reason}"
        self._say(f"\nagain, from a table {origin}: {table!r}")
        again = self._train("table", lambda optimizer: FromTable(optimizer, table))
        self._save(built_in, again)
        return self._report(built_in, again)

    def _introduce(self) -> None:
        choice = self._settings.choice
        parameters = ", ".join(f"{name}={value!r}" for name, value in self._parameters.items())
        digits, tests = len(self._digits.labels), len(self._digits.test_labels)
        self._say(f"{choice.torch_class}({parameters}), stepped once {'a batch' if choice.per_batch else 'an epoch'}")
        self._say(f"{digits:,} handwritten digits to train with, {tests} to test; updates an epoch: {self._batches:,}")

    def _built_in(self, optimizer: SGD) -> Driver:
        return BuiltIn(optimizer, self._settings.choice, self._parameters)

    def _train(self, name: str, make_driver: Callable[[SGD], Driver]) -> Run:
        total = self._settings.epochs * self._batches
        with tqdm(total=total, desc=name, unit="batch", leave=False, disable=self._no_bar) as bar:
            return train(
                self._digits,
                self._settings,
                make_driver,
                on_update=bar.update,
                on_epoch=lambda count, epoch: self._show_epoch(bar, count, epoch),
            )

    def _show_epoch(self, bar: tqdm[NoReturn], count: int, epoch: Epoch) -> None:
        """Print an epoch's line: above the bar, and at once, also into a pipe."""
        width = len(str(self._settings.epochs))
        bar.write(
            f"epoch {count:{width}}/{self._settings.epochs}  lr {number(epoch.lr, 4):<9}  loss {epoch.loss:.4f}  "
            f"test loss {epoch.test_loss:.4f}  accuracy {epoch.accuracy:6.2%}",
            file=sys.stdout,
        )
        sys.stdout.flush()

    def _save(self, run: Run, again: Run | None = None) -> None:
        """Save the pictures of a run, with those of another drawn over them."""
        title = f"{self._settings.choice.torch_class} on handwritten digits"
        title += ", and dashed the same from a table" if again else ""
        cycles = {"momentum": run.momenta} if len(set(run.momenta)) > 1 else {}
        rates = Table({"lr": run.rates, **cycles})
        applied = {"lr": again.rates, "momentum": again.momenta} if again else {}
        drawn = {name: applied[name] for name in applied if name in rates.columns}
        plot(rates, self._output / "lr.png", title=title, applied=drawn)
        for unit, curves in (("loss", _losses), ("accuracy", _accuracies)):
            path, over = self._output / f"{unit}.png", curves(again) if again else None
            plot_lines(path, unit, curves(run), title=title, over=over, over_name="from the table")
        self._say(f"accuracy {run.epochs[-1].accuracy:.2%}; pictures: {self._output}/lr.png, loss.png, accuracy.png")

    def _report(self, built_in: Run, again: Run) -> int:
        """Say whether the two trainings were the same: 0 if they were, else 1."""
        rates = difference(np.array(built_in.rates), np.array(again.rates))
        momenta = difference(np.array(built_in.momenta), np.array(again.momenta))
        weights = all(map(torch.equal, built_in.weights, again.weights))
        self._say(f"\napplied rates: {verdict(rates, 'update')}")
        if len(set(built_in.momenta)) > 1:
            self._say(f"momenta:       {verdict(momenta, 'update')}")
        elif self._parameters.get("cycle_momentum") is False:
            self._say("momenta:       constant in both, since the table has none")
        self._say(f"final weights: {'equal bit for bit' if weights else 'different'}")
        for line in custom_lines(self._settings, self._batches, built_in.rates):
            self._say(line)
        return 0 if rates.equal and momenta.equal and weights else 1


def _losses(run: Run) -> dict[str, list[float]]:
    return {
        "training": [epoch.loss for epoch in run.epochs],
        "test": [epoch.test_loss for epoch in run.epochs],
    }


def _accuracies(run: Run) -> dict[str, list[float]]:
    return {"test": [epoch.accuracy for epoch in run.epochs]}
