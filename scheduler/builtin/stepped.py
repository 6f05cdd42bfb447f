"""Rates that torch computes from the rate of the step before: products, affine steps, and both in a row.

Such a schedule cannot start in the middle. A `Timeline` keeps one rate for every BLOCK steps. It starts from the
nearest one before a window, so any window costs at most one block more than its own steps, once those before it
were computed.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from scheduler.builtin.twin import ClosedForm, Twin
from scheduler.fields import Values
from scheduler.numerics.cancellation import check_cancelled
from scheduler.numerics.pieces import BLOCK, ENDLESS, overlaps

Moves = NDArray[np.float64]
"""Steps as updates of the rate, shape [4, n]: lr becomes (lr - moves[0]) / moves[1] * moves[2] + moves[3]."""

LOOP = 4096
"""Steps of a Python loop at once: their floats are objects, several times as large as an array's."""


def _chunks(out: Values, movers: int, most: int) -> Iterator[tuple[Values, int]]:
    """`out` in chunks, each with its place, so small that a chunk's steps of all the movers are at most `most`."""
    size = max(most // movers, 1)
    for begin in range(0, len(out), size):
        yield out[begin : begin + size], begin


class Stepped(Twin):
    """A twin that computes each rate from the rate before."""

    @property
    @override
    def is_stepped(self) -> bool:
        return True

    @abstractmethod
    def write_moves(self, out: Moves, clock: int) -> None:
        """Write the moves of the steps from `clock` on."""

    @abstractmethod
    def apply_steps(self, rates: Values, clock: int) -> None:
        """Step each of the rates once, the first with this clock, the others with those that follow."""

    @abstractmethod
    def run_steps(self, out: Values, lr: float, clock: int) -> None:
        """Write the rates after each of the steps from `clock` on; `lr` is the rate before them."""

    @cached_property
    def _timeline(self) -> Timeline:
        first = self.first_rate(self.base_lr)  # type: ignore[attr-defined]  # a field of every stepped kind
        return Timeline(first, [Segment(1, (ActiveMember(self, 1),))])

    @override
    def write_rates(self, out: Values, start: int) -> None:
        self._timeline.fill(out, start)

    @override
    def rate_at_milestone(self, lr: float) -> float:
        return self.base_lr  # type: ignore[attr-defined,no-any-return]  # a field of every stepped kind


class Product(Stepped):
    """A twin whose steps multiply the rate."""

    @abstractmethod
    def write_factors(self, out: Values, clock: int) -> None:
        """Write the factors of the steps from `clock` on, at most BLOCK of them."""

    @override
    def write_moves(self, out: Moves, clock: int) -> None:
        # these leave every number as it is, a negative zero included
        out[0], out[1], out[3] = 0.0, 1.0, -0.0
        self.write_factors(out[2], clock)

    @override
    def apply_steps(self, rates: Values, clock: int) -> None:
        factors = np.empty(len(rates))
        self.write_factors(factors, clock)
        rates *= factors

    @override
    def run_steps(self, out: Values, lr: float, clock: int) -> None:
        self.write_factors(out, clock)
        multiply(out, lr)


class Affine(Stepped):
    """A twin whose steps multiply and add: every step is rounded more than once, so that only a loop has its bits."""

    @override
    def apply_steps(self, rates: Values, clock: int) -> None:
        moves = np.empty((4, len(rates)))
        self.write_moves(moves, clock)
        rates -= moves[0]
        rates /= moves[1]
        rates *= moves[2]
        rates += moves[3]

    @override
    def run_steps(self, out: Values, lr: float, clock: int) -> None:
        _loop(out, lr, [(self, clock)])


Mover = tuple[Twin, int]
"""A twin and the clock of its next step."""


def advance(out: Values, lr: float, movers: Sequence[Mover]) -> None:
    """Write the rates of steps in each of which all movers step once, in order; `lr` is the rate before.

    At most BLOCK steps. A closed-form twin replaces the rate of those before it, so only those after it are stepped.
    """
    last_closed = max((i for i, (twin, _) in enumerate(movers) if isinstance(twin, ClosedForm)), default=None)
    if last_closed is not None:
        closed, clock = movers[last_closed]
        closed.write_rates(out, clock)
    stepped = [(twin, clock) for twin, clock in movers[(last_closed or 0) :] if isinstance(twin, Stepped)]
    if last_closed is not None:
        for twin, clock in stepped:
            twin.apply_steps(out, clock)
    elif len(stepped) == 1:
        stepped[0][0].run_steps(out, lr, stepped[0][1])
    elif all(isinstance(twin, Product) for twin, _ in stepped):
        _interleave(out, lr, stepped)
    else:
        _loop(out, lr, stepped)


def multiply(factors: Values, lr: float) -> None:
    """Turn factors into the rates that they lead to from `lr`, in place, each product rounded as in a loop."""
    if len(factors):
        factors[0] *= lr
        np.multiply.accumulate(factors, out=factors)


def _interleave(out: Values, lr: float, movers: Sequence[tuple[Stepped, int]]) -> None:
    """Products in a row: one running product over the factors of all."""
    for chunk, begin in _chunks(out, len(movers), 2 * BLOCK):
        factors = np.empty((len(chunk), len(movers)))
        for column, (twin, clock) in zip(factors.T, movers, strict=True):
            assert isinstance(twin, Product)
            twin.write_factors(column, clock + begin)
        multiply(factors.reshape(-1), lr)
        chunk[:] = factors[:, -1]
        lr = float(chunk[-1])


def _loop(out: Values, lr: float, movers: Sequence[tuple[Stepped, int]]) -> None:
    for chunk, begin in _chunks(out, len(movers), LOOP):
        moves = np.empty((4, len(chunk), len(movers)))
        for i, (twin, clock) in enumerate(movers):
            twin.write_moves(moves[:, :, i], clock + begin)
        rates = _fold(lr, moves.reshape(4, -1))
        lr = rates[-1]
        chunk[:] = rates[len(movers) - 1 :: len(movers)]


def _fold(lr: float, moves: Moves) -> list[float]:
    if np.all(moves[1] == 1.0):  # as with all but SWALR: a division less
        return [lr := (lr - m) * f + p for m, f, p in zip(*moves[[0, 2, 3]].tolist(), strict=True)]
    return [lr := (lr - m) / d * f + p for m, d, f, p in zip(*moves.tolist(), strict=True)]


class ActiveMember(NamedTuple):
    """A twin that takes part in every step of a segment."""

    twin: Twin
    clock: int
    """Its clock at the first step of the segment."""
    restarts: bool = False
    """Whether SequentialLR restarts it at that step instead of stepping it."""


class Segment(NamedTuple):
    """Steps, from `start` on, in each of which the same twins take part, in order."""

    start: int
    members: tuple[ActiveMember, ...]

    def run(self, out: Values, lr: float, step: int) -> None:
        """Write the rates of steps from `step` on, at most BLOCK of them, `lr` being that of the step before."""
        past = step - self.start
        if past == 0 and any(member.restarts for member in self.members):
            out[0] = self.enter(lr)
            self.run(out[1:], float(out[0]), step + 1)
        else:
            advance(out, lr, [(member.twin, member.clock + past) for member in self.members])

    def enter(self, lr: float) -> float:
        """The rate of the first step."""
        rate = np.full(1, lr)
        for twin, clock, restarts in self.members:
            if restarts:
                rate[0] = twin.rate_at_milestone(float(rate[0]))
            else:
                advance(rate, float(rate[0]), [(twin, clock)])
        return float(rate[0])

    @property
    def driving(self) -> ActiveMember | None:
        """The last twin that drives the momentum; None where none does."""
        return next((member for member in reversed(self.members) if len(member.twin.column_names) > 1), None)

    @property
    def is_closed(self) -> bool:
        """Whether the rates do not depend on those before."""
        return any(isinstance(member.twin, ClosedForm) for member in self.members)


class SegmentSlice(NamedTuple):
    """The part of a window of steps that lies in one segment."""

    number: int
    """Index of the segment."""
    segment: Segment
    begin: int
    stop: int


class Timeline:
    """The segments of a training, and the rates that follow from them.

    Args:
        first: the rate of step 0.
        segments: what happens from step 1 on, by start, the first of them 1.
    """

    def __init__(self, first: float, segments: Sequence[Segment]) -> None:
        self.segments = [Segment(0, ()), *segments]
        self._starts = [segment.start for segment in self.segments]
        # Block number to the rate just before it, for all blocks from 0 to len - 1. Threads may write the same
        # entry twice; both write the same rate.
        self._noted = {0: first}

    def slices(self, start: int, stop: int) -> Iterator[SegmentSlice]:
        """The window from `start` to `stop`, cut where a segment ends."""
        first = bisect_right(self._starts, start) - 1
        pieces = ((self._length(index), index) for index in range(first, len(self.segments)))
        for index, begin, end, _ in overlaps(start, stop, pieces, origin=self._starts[first]):
            yield SegmentSlice(index, self.segments[index], begin, end)

    def _length(self, index: int) -> int:
        stop = self.stop(index)
        return ENDLESS if stop is None else stop - self._starts[index]

    def stop(self, index: int) -> int | None:
        """The step at which this segment is over; None for the last."""
        return self._starts[index + 1] if index + 1 < len(self._starts) else None

    def fill(self, out: Values, start: int) -> None:
        """Write the rates of steps start, start + 1, ..."""
        if len(out) == 0:
            return
        begin, lr = self._nearest(start)
        while begin < start + len(out):
            check_cancelled()
            if self._is_constant_from(begin, lr):
                out[max(begin - start, 0) :] = lr
                return
            stop = min(begin - begin % BLOCK + BLOCK, start + len(out))
            rates = out[begin - start : stop - start] if begin >= start else np.empty(stop - begin)
            lr = self._run(rates, lr, begin)
            if begin < start < stop:
                out[: stop - start] = rates[start - begin :]
            begin = stop
            if begin == len(self._noted) * BLOCK:
                self._noted[len(self._noted)] = lr

    def _nearest(self, start: int) -> tuple[int, float]:
        """The step to begin at, and the rate before it."""
        segment = self.segments[bisect_right(self._starts, start) - 1]
        if segment.is_closed and start > segment.start:
            return start, 0.0
        block = min(start // BLOCK, len(self._noted) - 1)
        return block * BLOCK, self._noted[block]

    def _run(self, out: Values, lr: float, start: int) -> float:
        for _, segment, begin, stop in self.slices(start, start + len(out)):
            rates = out[begin - start : stop - start]
            if segment.members:
                segment.run(rates, lr, begin)
            else:
                rates.fill(lr)
            lr = float(rates[-1])
        return lr

    def _is_constant_from(self, step: int, lr: float) -> bool:
        segment = self.segments[-1]
        past = step - segment.start
        return past > 0 and all(twin.is_constant_from(clock + past, lr) for twin, clock, _ in segment.members)
