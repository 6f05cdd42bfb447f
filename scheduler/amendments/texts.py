"""Amendments in words, for the log book of a run."""

from __future__ import annotations

from scheduler.amendments.models import Amendment, Cooldown, Extend, Hold, NewTail, Rescale
from scheduler.schedule import Schedule
from scheduler.spec import OneOrGroups


def describe_amendment(amendment: Amendment) -> str:
    """One plain sentence: "from step 60,000 on: cool down to 0 over 10,000 steps (1-sqrt)"."""
    start = f"from step {amendment.from_step:,} on"
    match amendment:
        case Cooldown():
            return f"{start}: cool down to {amendment.rate:g} over {amendment.length:,} steps ({amendment.shape})"
        case Extend():
            return f"{start}: hold the rate for longer, then go on as before, to {amendment.total_steps:,} steps in all"
        case Hold():
            return f"{start}: hold the rate"
        case Rescale():
            return f"{start}: all rates times {amendment.factor:g}"
        case NewTail():
            return f"{start}: {_tail(amendment.tail)}{_length(amendment.total_steps)}"
        case _:
            back = f"back to step {amendment.from_step:,}, and from there on"
            return f"{back}: {_tail(amendment.tail)}{_length(amendment.total_steps)}"


def _tail(tail: OneOrGroups) -> str:
    if isinstance(tail, Schedule):
        return _kinds(tail)
    kinds = list(dict.fromkeys(map(_kinds, tail)))
    return f"{', '.join(kinds)} for {len(tail)} parameter groups"


def _kinds(tail: Schedule) -> str:
    """The kind of a schedule, and those of its parts."""
    parts = list(dict.fromkeys(part.kind for part in tail.walk() if part is not tail))
    shown = ", ".join(parts[:3]) + (", ..." if len(parts) > 3 else "")
    return f"{tail.kind} of {shown}" if parts else tail.kind


def _length(total_steps: int | None) -> str:
    return "" if total_steps is None else f", to {total_steps:,} steps in all"
