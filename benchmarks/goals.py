"""What a measured figure should be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A figure, and what it should be at least or at most."""

    what: str
    figure: float
    bound: float
    at_least: bool = True

    def __str__(self) -> str:
        met = self.figure >= self.bound if self.at_least else self.figure <= self.bound
        sign = "at least" if self.at_least else "at most"
        return f"  {self.what:62}{self.figure:9.2f}   {sign:8} {self.bound:5.2f}   {'met' if met else 'SHORT'}"
