"""The curves that are fitted: a warmup, then a plateau or a decay, as functions of a few lengths.

In each the rates are linear in what is left: the peak, and where there is one the floor or the rate at the start. A
search therefore tries lengths alone, and least squares give the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from scheduler.fields import Values

Head = Literal["none", "zero", "one", "from", "cosine from"]
"""The warmup: none; 0 in step 0; its first part in step 0; from a rate of its own, in a line or half a cosine."""

Body = Literal[
    "constant",
    "linear",
    "cosine",
    "polynomial",
    "inverse_sqrt",
    "exponential",
    "stable linear",
    "stable cosine",
    "stable 1-sqrt",
]
"""What follows the warmup."""

Lengths = Sequence[float]
"""What a search tries, in the order of `Form.searched`."""

_FALLS: Mapping[str, Callable[[Values], Values]] = MappingProxyType(
    {
        "linear": lambda p: 1 - p,
        "cosine": lambda p: (1 + np.cos(np.pi * p)) / 2,
        "1-sqrt": lambda p: 1 - np.sqrt(p),
    }
)


@dataclass(frozen=True)
class Form:
    """A curve: its warmup, what follows, and whether that ends at a floor above 0."""

    head: Head
    body: Body
    has_floor: bool = False

    @property
    def searched(self) -> tuple[str, ...]:
        """The lengths and other numbers that a search tries: `warmup`, `total`, `stable`, `power`, `scale`."""
        own = {"constant": (), "inverse_sqrt": ("scale",), "exponential": ("scale",), "polynomial": ("total", "power")}
        body = own.get(self.body, ("total",) + (("stable",) if self.body.startswith("stable") else ()))
        return (() if self.head == "none" else ("warmup",)) + body

    @property
    def coefficients(self) -> tuple[str, ...]:
        """What least squares give, in the order of the columns of `basis`."""
        return ("peak", *(("floor",) if self.has_floor else ()), *(("start",) if self.head.endswith("from") else ()))

    @property
    def free(self) -> int:
        """Number of free parameters."""
        return len(self.searched) + len(self.coefficients)

    def basis(self, steps: Values, lengths: Lengths) -> Values:
        """Columns whose combination are the rates, shape [n, coefficients]; steps are float64, shape [n]."""
        given = dict(zip(self.searched, lengths, strict=True))
        warmup = given.get("warmup", 0.0)
        is_rising = steps < warmup
        rise = (steps + (self.head == "one")) / max(warmup, 1e-9)
        if self.head == "cosine from":
            rise = (1 - np.cos(np.pi * np.minimum(rise, 1.0))) / 2
        fall = self._fall(np.maximum(steps - warmup, 0.0), given, warmup)
        columns = [np.where(is_rising, rise, fall)]
        if self.has_floor:
            columns.append(np.where(is_rising, 0.0, 1 - fall))
        if self.head.endswith("from"):
            columns.append(np.where(is_rising, 1 - rise, 0.0))
        return np.stack(columns, axis=1)

    def _fall(self, since: Values, given: Mapping[str, float], warmup: float) -> Values:
        """The share of the peak, by the steps since the warmup."""
        match self.body:
            case "constant":
                return np.ones(len(since))
            case "inverse_sqrt":
                return 1 / np.sqrt((since + given["scale"]) / given["scale"])
            case "exponential":
                return np.exp(-since / given["scale"])
        length = max(given["total"] - warmup, 1e-9)
        if self.body == "polynomial":
            return np.maximum(1 - since / length, 0.0) ** given["power"]
        if "stable" in given:
            since, length = (
                np.maximum(since - (given["stable"] - warmup), 0.0),
                max(given["total"] - given["stable"], 1e-9),
            )
        return _FALLS[self.body.removeprefix("stable ")](np.minimum(since / length, 1.0))


_BODIES: Sequence[Body] = (
    *("constant", "linear", "cosine", "inverse_sqrt", "exponential", "polynomial"),
    *("stable linear", "stable cosine", "stable 1-sqrt"),
)
_WITH_FLOOR = ("linear", "cosine", "stable linear", "stable cosine", "stable 1-sqrt")


def forms(heads: Sequence[Head]) -> list[Form]:
    """All curves with these warmups, those with fewer parameters first."""
    found = [Form(head, body, floor) for head in heads for body in _BODIES for floor in (False, True)]
    kept = [form for form in found if not form.has_floor or form.body in _WITH_FLOOR]
    one_cycle = Form("cosine from", "cosine", has_floor=True)
    kept = [form for form in kept if form.head != "cosine from" or form == one_cycle]
    return sorted(kept, key=lambda form: form.free)
