"""Amendments: a schedule changed from a step on, every row before it kept bit for bit. Pure functions of specs."""

from scheduler.amendments.amend import amend
from scheduler.amendments.models import (
    Amendment,
    Cooldown,
    Extend,
    Hold,
    NewTail,
    Rescale,
    Rewind,
    UnsplittableError,
    parse_amendment,
)
from scheduler.amendments.stored import spec_of_table
from scheduler.amendments.texts import describe_amendment
from scheduler.views.difference import first_difference, largest_factor

__all__ = [
    "Amendment",
    "Cooldown",
    "Extend",
    "Hold",
    "NewTail",
    "Rescale",
    "Rewind",
    "UnsplittableError",
    "amend",
    "describe_amendment",
    "first_difference",
    "largest_factor",
    "parse_amendment",
    "spec_of_table",
]
