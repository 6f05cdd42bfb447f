"""What takes the rates of a training down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from scheduler.audit.applied import Origin


class Recorder(Protocol):
    """A place where rates are recorded. `record_rates` calls it in this order: `start`, `record` ..., `close`."""

    def start(self, origin: Origin, columns: Sequence[str]) -> None:
        """Begin, or go on after a resume.

        Args:
            origin: which table is applied.
            columns: names of the values to come: `lr`, or `lr.0`, `lr.1` for parameter groups.

        Raises what refuses the training: nothing was trained yet.
        """

    def follow(self, origin: Origin) -> None:
        """From the next record on another table is applied: the run was amended."""

    def record(self, update: int, values: Mapping[str, float]) -> None:
        """Take down the values in force during an update, counted from 0."""

    def close(self) -> None:
        """Write what is not written yet. Closing twice does no harm."""


def described(origin: Origin) -> dict[str, str | int]:
    """The table's digest, run and version, under the names that experiment trackers get; unknown ones are left out."""
    fields = {"lr_table_digest": origin.digest, "lr_run": origin.run, "lr_run_version": origin.version}
    return {name: value for name, value in fields.items() if value is not None}
