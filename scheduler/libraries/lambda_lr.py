"""The rates of torch's `LambdaLR`, base_lr · f(t), for the twins of any library: f in pieces, over arrays.

Every line of a piece is one rounding of transformers' own expression, in its order. The `max(0, f)` around f is left
out: where f would be negative another piece begins.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Literal

import numpy as np
from typing_extensions import override

from scheduler.fields import Values
from scheduler.messages.warnings import PlacedWarning
from scheduler.numerics import libm
from scheduler.numerics.pieces import ENDLESS, STEPS, in_blocks, piecewise
from scheduler.schedule import Schedule

Shape = Literal["linear", "cosine", "1-sqrt"]
"""A way from 0 to 1, or back."""

Piece = tuple[int, Callable[[Values], None]]
"""The first step of a piece, and what turns a block of its steps (as floats) into shares of base_lr, in place."""


class LambdaSchedule(Schedule):
    """base_lr · f(t), f written in pieces: what torch's LambdaLR applies."""

    base_lr: float

    @property
    @override
    def warmup_field(self) -> tuple[str, int] | None:
        steps: int | None = getattr(self, "num_warmup_steps", None)
        return ("num_warmup_steps", steps) if steps else None

    @property
    @override
    def stated_steps(self) -> int | None:
        steps: int | None = getattr(self, "num_training_steps", None)
        return steps

    @override
    def placed_warnings(self, steps: int, *, part: bool = False) -> Iterator[PlacedWarning]:
        name, warmup = self.warmup_field or ("", 0)
        if self.stated_steps is not None and self.stated_steps <= warmup < steps:
            text = f"{name}={warmup} of this {self.kind} leaves nothing of its {self.stated_steps} steps for the rest"
            yield PlacedWarning("curve", text)
        else:
            yield from super().placed_warnings(steps, part=part)

    @abstractmethod
    def _pieces(self) -> list[Piece]:
        """The pieces of f, the first from step 0; none begins before the one that it follows."""

    def _fill(self, out: Values, start: int) -> None:
        libm.check_platform()
        pieces = self._pieces()
        ends = [*(first for first, _ in pieces[1:]), ENDLESS]
        lengths = zip(pieces, ends, strict=True)
        piecewise(out, start, ((end - piece[0], partial(self._fill_piece, piece)) for piece, end in lengths))

    def _fill_piece(self, piece: Piece, out: Values, position: int) -> None:
        first, write = piece
        for block, step in in_blocks(out, first + position):
            np.add(STEPS[: len(block)], step, out=block)
            write(block)
            block *= self.base_lr

    @override
    def inner_boundaries(self, total_steps: int) -> Iterable[int]:
        del total_steps
        return [first for first, _ in self._pieces()]


def level(block: Values, *, share: float) -> None:
    """The same share at every step."""
    block.fill(share)


at_peak = partial(level, share=1.0)
"""base_lr itself."""
at_zero = partial(level, share=0.0)
"""A rate of 0."""


def progress(block: Values, *, first: float, length: float) -> None:
    """p = (t - first) / length, and t - first where the length is 0 or less."""
    block -= first
    block /= max(1, length)


def one_minus(block: Values) -> None:
    """1 - p."""
    np.subtract(1.0, block, out=block)


def cosine_fall(block: Values, *, angle: float) -> None:
    """0.5 · (1 + cos(angle · p))."""
    block *= angle
    np.cos(block, out=block)
    block += 1.0
    block *= 0.5


def cosine_rise(block: Values) -> None:
    """0.5 · (1 - cos(π·p))."""
    block *= math.pi
    np.cos(block, out=block)
    one_minus(block)
    block *= 0.5


def sqrt_rise(block: Values) -> None:
    """1 - √(1 - p)."""
    one_minus(block)
    sqrt_fall(block)


def sqrt_fall(block: Values) -> None:
    """1 - √p."""
    np.sqrt(block, out=block)
    one_minus(block)


def lift(block: Values, *, floor: float) -> None:
    """From 0..1 to floor..1."""
    block *= 1.0 - floor
    block += floor


def linear_warmup(num_warmup_steps: int) -> Piece:
    """From 0 at step 0 towards 1 at step `num_warmup_steps`, as the first piece."""
    return 0, partial(progress, first=0, length=num_warmup_steps)


def linear(block: Values, *, last: int, length: int) -> None:
    """(last - t) / length."""
    np.subtract(last, block, out=block)
    block /= max(1, length)


def cosine(block: Values, *, first: int, length: int, num_cycles: float, floor: float = 0.0) -> None:
    """`num_cycles` waves of a cosine from 1, down to `floor`."""
    progress(block, first=first, length=length)
    cosine_fall(block, angle=math.pi * num_cycles * 2.0)
    lift(block, floor=floor)


def restarts(block: Values, *, first: int, length: int, num_cycles: float) -> None:
    """`num_cycles` half waves of a cosine, each from 1 towards 0."""
    progress(block, first=first, length=length)
    block *= num_cycles
    block -= np.floor(block)  # x mod 1: exact for x >= 0, and an eighteenth of the time of np.remainder
    cosine_fall(block, angle=math.pi)


def polynomial(block: Values, *, first: int, length: int, power: float, lr_init: float, lr_end: float) -> None:
    """From 1 to lr_end / lr_init by a power of the way that is left."""
    progress(block, first=first, length=length)
    one_minus(block)
    if power != 1.0:  # which changes nothing
        libm.power(block, power, block)
    block *= lr_init - lr_end
    block += lr_end
    block /= lr_init


def inverse_sqrt(block: Values, *, shift: float, timescale: float) -> None:
    """1 / √((t + shift) / timescale)."""
    block += shift
    block /= timescale
    np.sqrt(block, out=block)
    np.divide(1.0, block, out=block)


def warmup_from(block: Values, *, num_warmup_steps: int, warmup_lr_rate: float) -> None:
    """From `warmup_lr_rate` at step 0 to 1 at step `num_warmup_steps` - 1."""
    block *= 1.0 - warmup_lr_rate
    block /= max(1, num_warmup_steps - 1)
    block += warmup_lr_rate


def stable_warmup(block: Values, *, length: int, shape: Shape, floor: float) -> None:
    """From `floor` at step 0 to 1 at step `length`, in one of three shapes."""
    progress(block, first=0, length=length)
    if shape == "cosine":
        cosine_rise(block)
    elif shape == "1-sqrt":
        sqrt_rise(block)
    lift(block, floor=floor)


def stable_decay(
    block: Values, *, warm: int, stable: float, length: float, shape: Shape, num_cycles: float, floor: float
) -> None:
    """From 1 at step `warm` + `stable` to `floor` over `length` steps, in one of three shapes."""
    block -= warm
    progress(block, first=stable, length=length)
    if shape == "cosine":
        cosine_fall(block, angle=math.pi * num_cycles * 2.0)
    elif shape == "1-sqrt":
        sqrt_fall(block)
    else:
        one_minus(block)
    lift(block, floor=floor)
    if not isinstance(length, int):  # the last step may lie just past the end
        np.maximum(block, 0.0, out=block)
