"""The options of `python -m scheduler`, read and checked."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from itertools import chain
from math import isfinite
from typing import Any

from scheduler.training.choices import CHOICES, Settings

_EPILOG = """
scheduler    steps once a   options and their defaults
step         epoch          --lr 0.1 --step_size 30% --gamma 0.1
multistep    epoch          --lr 0.1 --milestones 30% 60% 90% --gamma 0.1
exponential  epoch          --lr 0.1 --gamma 0.95
cosine       epoch          --lr 0.1 --t_max EPOCHS --eta_min 0
onecycle     batch          --max_lr 0.1 --pct_start 0.3 --div_factor 25 --final_div_factor 1e4 --anneal_strategy cos
cyclic       batch          --base_lr 0.001 --max_lr 0.1 --step_size BATCHES_OF_4_EPOCHS --mode triangular --gamma 1
plateau      epoch          --lr 0.1 --factor 0.1 --patience 10%

A share is one of the epochs; in fewer than 8 epochs a cyclic scheduler rises for half of them.
Names may be written with - or _. An option that the chosen scheduler does not use is an error.
"""


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The options, checked, with `settings` beside them. Exits with 2 after a line naming the option and the value."""
    parser = _parser()
    options = parser.parse_args([_underscored(word) for word in words])
    choice = CHOICES[options.scheduler]
    given = {name: getattr(options, name) for name in _SCHEDULER_OPTIONS if getattr(options, name) is not None}
    for name in given:
        if name not in choice.defaults:
            used = ", ".join(f"--{used}" for used in choice.defaults)
            parser.error(f"--{name} is not used by --scheduler {options.scheduler}, which takes {used}")
    if "milestones" in given:
        given["milestones"] = sorted(chain.from_iterable(given["milestones"]))
    options.settings = Settings(choice, given, options.epochs, options.batch_size, options.seed)
    return options


def _underscored(word: str) -> str:
    """An option with _ for - in its name; any other word as it is."""
    name, equals, value = word.partition("=")
    return f"--{name[2:].replace('-', '_')}{equals}{value}" if name.startswith("--") else word


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m scheduler",
        description="Train a small classifier of handwritten digits with one of torch's learning-rate schedulers.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lrtables {version('lrtables')}", help="print it")
    parser.add_argument("--scheduler", choices=tuple(CHOICES), required=True, help="which of torch's schedulers")
    parser.add_argument("--epochs", type=_whole, default=100, help="times through the digits (100)")
    parser.add_argument("--batch_size", type=_whole, default=64, help="digits an update (64)")
    parser.add_argument(
        "--seed", type=partial(_whole, low=0), default=0, help="of the first weights and of the digits' order (0)"
    )
    parser.add_argument("--output", metavar="DIR", help="folder of the pictures (runs/SCHEDULER)")
    parser.add_argument(
        "--compare",
        action="store_true",
        help="train a second time, from our table, and say whether the rates were equal",
    )
    parser.add_argument("--progress", action="store_true", help="draw the bar even where stderr is no terminal")
    for name, option in _SCHEDULER_OPTIONS.items():
        parser.add_argument(f"--{name}", **option)
    return parser


def _whole(text: str, *, low: int = 1, high: int = 10**6) -> int:
    value = int(text) if re.fullmatch(r"\d{1,12}", text.replace("_", "")) else low - 1
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high:,}, got {text!r}")
    return value


def _real(text: str, *, high: float, positive: bool) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and value <= high and (value > 0 if positive else value >= 0)):
        rule = "above 0 and at most" if positive else "from 0 to"
        raise argparse.ArgumentTypeError(f"must be a number {rule} {high:g}, got {text!r}")
    return value


def _milestones(text: str) -> list[int]:
    return [_whole(word) for word in re.split(r"[,\s]+", text.strip("[], "))]


_rate = partial(_real, high=1e6, positive=False)
_positive = partial(_real, high=1e6, positive=True)
_fraction = partial(_real, high=1.0, positive=False)

_SCHEDULER_OPTIONS: dict[str, dict[str, Any]] = {
    "lr": {"type": _rate, "help": "the optimizer's rate, where the schedule starts"},
    "step_size": {"type": _whole, "help": "step: epochs between drops; cyclic: batches of a rise"},
    "gamma": {
        "type": _positive,
        "help": "factor at every drop (exponential: every epoch; cyclic: every batch, in mode exp_range)",
    },
    "milestones": {"type": _milestones, "nargs": "+", "metavar": "EPOCH", "help": "epochs of the drops"},
    "t_max": {"type": _whole, "help": "epochs of the half cosine"},
    "eta_min": {"type": _rate, "help": "rate at the end of the half cosine"},
    "base_lr": {"type": _rate, "help": "lowest rate of the cycles"},
    "max_lr": {"type": _positive, "help": "highest rate of the cycles"},
    "mode": {"choices": ("triangular", "triangular2", "exp_range"), "help": "how the cycles shrink"},
    "pct_start": {"type": _fraction, "help": "share of the training that rises"},
    "div_factor": {"type": _positive, "help": "max_lr divided by the first rate"},
    "final_div_factor": {"type": _positive, "help": "the first rate divided by the last"},
    "anneal_strategy": {"choices": ("cos", "linear"), "help": "how the rate rises and falls"},
    "factor": {"type": _positive, "help": "factor at every drop, below 1"},
    "patience": {"type": partial(_whole, low=0), "help": "epochs without a lower test loss before a drop"},
}
