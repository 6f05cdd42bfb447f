"""A schedule cut at a step: the parts before it, and what would come from it on.

A cut schedule is a list of pieces, each a part with the number of steps that it has, as in a `Sequence`. A `Sequence`
is cut between or inside its parts, so that a schedule that was amended before gets no level of nesting more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from scheduler.amendments.models import refusal, unsplittable
from scheduler.compose.base import MAX_PARTS, value_at
from scheduler.compose.curves import Constant
from scheduler.compose.literal import Literal
from scheduler.compose.sequence import Sequence as Parts
from scheduler.compose.sequence import Splice, rate_at
from scheduler.compose.wrappers import Scale, Shift
from scheduler.schedule import Schedule

Piece = tuple[Schedule, int | None]
"""A part and its number of steps; None for a last part that has no end of its own."""


class Cut:
    """A schedule of `total_steps` rows, cut before row `step`.

    Raises `ScheduleError` for a schedule that rises again where composites hold it (`Schedule.over`), so that its rows
    could not be kept.
    """

    def __init__(self, schedule: Schedule, step: int, total_steps: int) -> None:
        self.schedule, self.step = schedule, step
        self._total_steps = total_steps
        self._check_over(step)
        self._parts = _as_parts(schedule)
        self._kept = _before(self._parts, step)

    def _check_over(self, steps: int) -> None:
        """Refuse a schedule of which fewer than so many rows can be kept inside a composite."""
        over = self.schedule.over
        if over is not None and over < steps:
            kind = self.schedule.kind
            raise unsplittable(
                f"is not possible for this {kind}, which is over at step {over} and climbs again in "
                f"{self._total_steps} steps",
                self.step,
            )

    def rest(self) -> list[Piece]:
        """What would come from the cut on; each part that starts from "previous" starts from that number.

        The rates that they start from are computed.
        """
        self._check_over(self._total_steps)
        return _after(self._parts, self.step)

    def rate(self) -> float:
        """The rate that would come at the cut: that of the next part that runs, or of the last one, which goes on."""
        following = _after(self._parts, self.step)
        part, _ = next((piece for piece in following if piece[1] != 0), following[-1])
        return rate_at(part, 0)

    def fed(self, tail: Schedule) -> Schedule:
        """The tail; from the rate at the cut, where it needs that and its place alone would give it another."""
        begins = accumulate(self._parts.lengths[: len(self._parts.schedules) - 1], initial=0)
        return tail.after(self.rate()) if tail.needs_previous and self.step in begins else tail

    def joined(self, pieces: Iterable[Piece]) -> Schedule:
        """The parts before the cut and then these: a schedule that drives the same columns.

        Raises `ScheduleError` where it drives others, or has too many parts.
        """
        pieces = list(pieces)
        others = [name for name in self.schedule.column_names if name != "lr"]
        if more := sorted({name for part, _ in pieces for name in part.column_names} - {"lr", *others}):
            raise refusal(
                "tail", f"must drive no other columns than the schedule before it, got {', '.join(more)} beside them"
            )
        driven = {name for part, _ in (*self._kept, *pieces) for name in part.column_names}
        undriven = [(part, 0) for part in _sources(self._parts, [name for name in others if name not in driven])]
        if self._keeps_first_values([*self._kept, *pieces], [name for name in others if name in driven]):
            return _sequence([*self._kept, *undriven, *pieces])
        kept = [*(part for part, _ in self._kept), *_sources(self._parts, others)]
        lengths = [length or 0 for _, length in self._kept]
        before = Parts(kept, lengths + [1] * (len(kept) - len(lengths) - 1))  # the last ones are never reached
        return _sequence([(before, self.step), *pieces])

    def _keeps_first_values(self, pieces: list[Piece], names: list[str]) -> bool:
        """Whether columns have the same values until they are first driven: that of the part which does so first."""
        if not self.step or self.schedule is self._kept[0][0]:
            return True
        old = _pieces(self._parts)
        return all(_first_value(pieces, name) == _first_value(old, name) for name in names)


def tail_pieces(tail: Schedule) -> list[Piece]:
    """The tail as pieces: its parts, where a `Sequence` may lie flat in another."""
    if isinstance(tail, Parts | Splice):
        parts = _as_parts(tail)
        if parts.lengths[:1] != (0,) and set(parts.schedules[0].column_names) == set(tail.column_names):
            return _pieces(parts)
    return [(tail, None)]


def shifted(part: Schedule, steps: int) -> Schedule:
    """A part without its first steps, no level deeper than one `Shift` around what it is made of."""
    if steps == 0 or isinstance(part, Constant):
        return part
    match part:
        case Scale():
            return Scale(shifted(part.schedule, steps), part.factor)
        case Shift():
            offset = part.offset + steps
            return Shift(part.schedule, offset) if offset else part.schedule
        case Literal() if part.given is not None:
            return Literal(part.given[min(steps, len(part.given) - 1) :])
    return Shift(part, steps)


def delayed(part: Schedule, steps: int) -> Schedule:
    """A part whose first value is held for so many steps longer."""
    match part:
        case Constant():
            return part
        case Scale():
            return Scale(delayed(part.schedule, steps), part.factor)
        case Shift() if part.offset < 0:
            return Shift(part.schedule, part.offset - steps)
    return Shift(part, -steps)


def scaled(part: Schedule, factor: float) -> Schedule:
    """A part with its rates times a factor, no level deeper than one `Scale` around what it is made of."""
    match part:
        case Constant() if part.value != "previous":
            return Constant(part.value * factor)
        case Scale():
            return Scale(part.schedule, part.factor * factor)
    return Scale(part, factor)


def _as_parts(schedule: Schedule) -> Parts:
    match schedule:
        case Parts():
            return schedule
        case Splice():
            return Parts([schedule.schedule, schedule.tail], [schedule.at])
    return Parts([schedule], [])


def _pieces(parts: Parts) -> list[Piece]:
    return list(zip(parts.schedules, (*parts.lengths, None), strict=False))


def _before(parts: Parts, step: int) -> list[Piece]:
    """The parts that run before a step, the last one as long as it does until then."""
    kept: list[Piece] = []
    begin, last = 0, len(parts.schedules) - 1
    for number, part in enumerate(parts.schedules):
        if begin >= step:
            break
        length = step - begin if number == last else min(parts.lengths[number], step - begin)
        if length:
            first = next(fed for fed, length in parts.fed_parts() if length) if not kept else part
            kept.append((_shortened(first, length), length))
        begin += length
    return kept


def _after(parts: Parts, step: int) -> list[Piece]:
    """The pieces from a step on, each "previous" among them replaced by its rate."""
    lengths, last = (*parts.lengths, None), len(parts.schedules) - 1
    pieces: list[Piece] = []
    begin = 0
    for number, (part, length) in enumerate(parts.fed_parts()):
        if begin + length > step or number == last:
            skipped, own = max(step - begin, 0), lengths[number]
            pieces += _without(part, skipped, None if own is None else max(own - skipped, 0))
        begin += length
    return pieces


def _without(part: Schedule, skipped: int, length: int | None) -> list[Piece]:
    """A part without its first steps, as pieces that have this length together."""
    if not (skipped and isinstance(part, Parts | Splice)):
        return [(shifted(part, skipped), length)]
    pieces = _after(_as_parts(part), skipped)
    if length is None:
        return pieces
    limited: list[Piece] = []
    for number, (piece, own) in enumerate(pieces):
        own = length if own is None or number == len(pieces) - 1 else min(own, length)
        limited.append((piece, own))
        length -= own
        if not length:
            break
    return limited


def _shortened(part: Schedule, steps: int) -> Schedule:
    """The part, of given values only those that are read, and the next one, which "previous" stands for."""
    if isinstance(part, Literal) and part.given is not None:
        return Literal(part.given[: steps + 1])
    return part


def _sources(parts: Parts, names: Iterable[str]) -> list[Schedule]:
    """The parts whose first values columns have until one drives them, in their order; none that is a Sequence."""
    pieces = _pieces(parts)
    wanted: dict[int, list[str]] = {}
    for name in names:
        wanted.setdefault(_source(pieces, name), []).append(name)
    sources: list[Schedule] = []
    for position, own in sorted(wanted.items()):
        part = parts.schedules[position]
        sources += _sources(_as_parts(part), own) if isinstance(part, Parts | Splice) else [part]
    return sources


def _source(pieces: Sequence[Piece], name: str) -> int:
    """The position of the first part that drives a column and runs; of the first that drives it, where none runs."""
    driving = [number for number, (part, _) in enumerate(pieces) if name in part.column_names]
    return next((number for number in driving if pieces[number][1] != 0), driving[0])


def _first_value(pieces: Sequence[Piece], name: str) -> float:
    return value_at(pieces[_source(pieces, name)][0], 0, name)


def _sequence(pieces: list[Piece]) -> Schedule:
    if len(pieces) == 1 and pieces[0][1] is None:
        return pieces[0][0]
    if len(pieces) > MAX_PARTS:
        raise unsplittable(f"makes {len(pieces)} parts of a schedule, which has at most {MAX_PARTS}")
    lengths = [length for _, length in pieces if length is not None]
    return Parts([part for part, _ in pieces], lengths)
