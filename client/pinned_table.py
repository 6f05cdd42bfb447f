"""A table together with the version of the run that it was resolved from."""

from __future__ import annotations

from typing import TypeGuard

from client.runs.documents import run_name
from scheduler import Table
from scheduler.texts import abbreviate


class PinnedTable(Table):
    """A table that knows its run and version: what `share_table` gives, and what a checkpoint then remembers.

    It equals the table without them, and shares its memory.

    Args:
        table: the values.
        run: the run's name, `namespace/name`; None for a table of no run.
        version: the run's version, 1 or more; None for a table of no run.
        replaces: the digest of an earlier table of the run, where this one is proven to repeat its rows up to the
            position of the checkpoint. `TableLR.load_state_dict` takes this one in its place.

    Raises `ValueError` for a name or version that no run has, and for one of them without the other.
    """

    def __init__(
        self, table: Table, *, run: str | None = None, version: int | None = None, replaces: str | None = None
    ) -> None:
        check_pin(run, version)
        self._share(table)
        self.run = run
        self.version = version
        self.replaces = replaces


def check_pin(run: object, version: object) -> None:
    """Raise `ValueError` unless both are None, or they can be the name and the version of a run."""
    if run is None and version is None:
        return
    run_name(run)
    if type(version) is not int or version < 1:
        raise ValueError(f"version must be a whole number from 1, got {abbreviate(version)}")


def is_run_name(value: object) -> TypeGuard[str]:
    """Whether it is the name of a run, `namespace/name`."""
    try:
        run_name(value)
    except ValueError:
        return False
    return True
