"""Numbers as people type them: `100000`, `100_000` and `1e5` are the same number of steps."""

from __future__ import annotations

import argparse
import re
from decimal import Decimal

from scheduler.commands.typed import MAX_STEPS, TypingError

_NUMBER = re.compile(r"\d+(_\d+)*(\.\d+)?([eE]\+?\d{1,2})?")


def whole_number(text: str) -> int | None:
    """The whole number that was typed, from 0 on; None for anything else, as `1.5` or `2e-1`."""
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else None


def step_count(text: str, option: str = "--steps") -> int:
    """A typed number of steps. Raises `TypingError`, naming it, where it is none or too large."""
    steps = whole_number(text)
    if steps is None or not 1 <= steps <= MAX_STEPS:
        raise TypingError(f"{option} must be a whole number from 1 to {MAX_STEPS:,}, got {text!r}")
    return steps


def step_list(text: str, option: str = "--at") -> list[int]:
    """The steps that were typed with commas between them. Raises `TypingError`."""
    steps = [whole_number(word.strip()) for word in text.split(",")]
    known = [step for step in steps if step is not None]
    if len(known) < len(steps):
        raise TypingError(f"{option} must be steps with commas between them, as 0,100,999, got {text!r}")
    return known


def steps_option(text: str) -> int:
    """The value of an option that counts steps, as the `type` of an argument of argparse."""
    steps = whole_number(text)
    if steps is None:
        raise argparse.ArgumentTypeError(f"must be a whole number of steps, got {text!r}")
    return steps
