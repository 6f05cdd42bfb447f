"""Rates in a file of our own: every bit of every update."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

from typing_extensions import override

from client.errors import DigestMismatchError
from client.records.recorder import Recorder
from scheduler.audit.applied import SIGNATURE, AppliedRatesWriter, Origin, parse_applied_rates


class AppliedRatesFile(Recorder):
    """Writes a file of applied rates (see `scheduler.audit.applied`), which `lrtables audit` reads.

    A file that is there is continued, as a resumed job does. It may be read while it is written: a half line at its end
    is passed over.

    Args:
        path: the file. Its folder is made.
        flush_every: records after which what is buffered is handed to the system; a killed process loses at most these.
        allow_other_table: continue a file whose last rates are of another table. Without it only another version of
            the same run may continue it.

    `start` raises `DigestMismatchError` for a file of another table, `AppliedRatesError` for one with other columns or
    that is no such file, and `OSError` from the system.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, flush_every: int = 100, allow_other_table: bool = False
    ) -> None:
        if isinstance(flush_every, bool) or not isinstance(flush_every, int) or flush_every < 1:
            raise ValueError(f"flush_every must be a whole number from 1, got {flush_every!r}")
        self._path = Path(path)
        self._flush_every = flush_every
        self._allow_other_table = allow_other_table
        self._writer: AppliedRatesWriter | None = None
        self._unwritten = 0

    @override
    def start(self, origin: Origin, columns: Sequence[str]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        last = last_origin(self._path)
        if last is not None and not self._allow_other_table and not _continues(origin, last):
            raise DigestMismatchError(
                f"{self._path} has rates of table {_shown(last)}, not of {_shown(origin)}: give another path, or "
                "AppliedRatesFile(path, allow_other_table=True)"
            )
        self._writer = AppliedRatesWriter(self._path, origin, columns)
        self._writer.flush()
        weakref.finalize(self, self._writer.close)  # at the end of the process, too

    @override
    def follow(self, origin: Origin) -> None:
        if self._writer is not None:
            self._writer.follow(origin)

    @override
    def record(self, update: int, values: Mapping[str, float]) -> None:
        if self._writer is None:
            return
        self._writer.write(update, *values.values())
        self._unwritten += 1
        if self._unwritten >= self._flush_every:
            self._writer.flush()
            self._unwritten = 0

    @override
    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def last_origin(path: Path) -> Origin | None:
    """The table that the last rates of a file are of; None where there is no file, or an empty one."""
    try:
        with path.open(encoding="utf-8") as file:
            kept = [line for number, line in enumerate(file) if number < 2 or line.startswith(SIGNATURE)]
    except FileNotFoundError:
        return None
    return parse_applied_rates("".join(kept)).origins[-1][1] if kept else None


def _continues(origin: Origin, last: Origin) -> bool:
    return origin.digest == last.digest or (origin.run is not None and origin.run == last.run)


def _shown(origin: Origin) -> str:
    return f"{origin.digest}" if origin.run is None else f"{origin.digest} ({origin.run}, version {origin.version})"
