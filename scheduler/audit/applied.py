"""The file of applied rates: what the optimizer had in force, update by update, every bit of it.

It is CSV with comments, so that any tool reads it:

    # lrtables applied rates 1 {"digest": "9f2c...", "run": "team-a/bert", "version": 3}
    update,lr.0,lr.1
    0,1e-07,2e-07
    1,2e-07,4e-07

The comment before the header names the table that was applied. A further comment between rows names the table from the
next row on: a run was amended, or a job resumed. Rates are written by `repr`, which gives every bit back. Updates count
from 0; after a resume some are there twice. A last line without its end is what a killed process left, and is ignored.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import numpy as np

from scheduler.fields import Values
from scheduler.texts import abbreviate, is_digest

SIGNATURE = "# lrtables applied rates 1"
"""How such a file begins."""

_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,63}(\.\d{1,4})?")
_UPDATE = re.compile(r"\d{1,15}")


class AppliedRatesError(ValueError):
    """A file of applied rates that is damaged, or none at all; the message names the line."""


@dataclass(frozen=True)
class Origin:
    """Which table was applied.

    Args:
        digest: the table's digest; None where no table was followed.
        run: the run's name, `namespace/name`, where there is one.
        version: the run's version.
    """

    digest: str | None = None
    run: str | None = None
    version: int | None = None

    def __post_init__(self) -> None:
        if self.digest is not None and not is_digest(self.digest):
            raise AppliedRatesError(f"digest must be 64 hexadecimal digits, got {abbreviate(self.digest)}")
        if self.run is not None and (type(self.run) is not str or not self.run):
            raise AppliedRatesError(f"run must be a name, got {abbreviate(self.run)}")
        if self.version is not None and (type(self.version) is not int or self.version < 1):
            raise AppliedRatesError(f"version must be a whole number from 1, got {abbreviate(self.version)}")

    @property
    def line(self) -> str:
        """The comment that names it, without the line's end."""
        fields = {name: value for name, value in vars(self).items() if value is not None}
        return f"{SIGNATURE} {json.dumps(fields)}"


@dataclass(frozen=True)
class AppliedRates:
    """What a file of applied rates holds.

    Args:
        updates: the update of each row, counted from 0; shape [rows]; in the order of the file.
        columns: name to values, float64, shape [rows]: `lr`, or `lr.0`, `lr.1` for parameter groups, or others.
        origins: index of the first row to the table that was applied from there on; the first is of row 0.
    """

    updates: np.ndarray[Any, np.dtype[np.int64]]
    columns: Mapping[str, Values]
    origins: tuple[tuple[int, Origin], ...]


class AppliedRatesWriter:
    """Writes a file of applied rates; one that exists is continued.

    Rows are buffered as in any text file: `flush` hands them to the system, `close` does, too. As a context manager it
    closes the file. A half line that a killed process left is removed.

    Args:
        path: the file. Its folder must exist.
        origin: the table that is applied.
        columns: what is written of each update, named as a table's columns.

    Raises `AppliedRatesError` where the file exists and is none, or has other columns, and for a bad column's name;
    `OSError` from the system.
    """

    def __init__(self, path: str | os.PathLike[str], origin: Origin, columns: Sequence[str] = ("lr",)) -> None:
        self.columns = _checked_columns(columns)
        self._path = Path(path)
        self._file: TextIO = self._continued(origin)

    def write(self, update: int, *values: float) -> None:
        """Write one update's values, one for each column. Raises `AppliedRatesError` for another number of them."""
        if len(values) != len(self.columns):
            raise AppliedRatesError(f"values must be one for each of {', '.join(self.columns)}, got {len(values)}")
        self._file.write(f"{int(update)},{','.join(repr(float(value)) for value in values)}\n")

    def follow(self, origin: Origin) -> None:
        """Name another table, which is applied from the next row on."""
        self._file.write(f"{origin.line}\n")

    def flush(self) -> None:
        """Hand all rows to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Write what is buffered and close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _continued(self, origin: Origin) -> TextIO:
        header = f"update,{','.join(self.columns)}"
        if not self._path.exists() or not self._path.stat().st_size:
            file = self._path.open("w", encoding="utf-8", newline="\n")
            file.write(f"{origin.line}\n{header}\n")
            return file
        found = _first_lines(self._path)
        if not found[0].startswith(SIGNATURE):
            raise AppliedRatesError(f"{self._path} is no file of applied rates: it begins with {abbreviate(found[0])}")
        if found[1] != header:
            raise AppliedRatesError(f"{self._path} has the columns {found[1]}, not {header}")
        _cut_half_line(self._path)
        file = self._path.open("a", encoding="utf-8", newline="\n")
        file.write(f"{origin.line}\n")
        return file


def read_applied_rates(path: str | os.PathLike[str]) -> AppliedRates:
    """Read a file of applied rates. Raises `AppliedRatesError` with the line, `OSError` from the system."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise AppliedRatesError(f"{os.fspath(path)} is no text in UTF-8: {error.reason}") from error
    return parse_applied_rates(text)


def parse_applied_rates(text: str) -> AppliedRates:
    """The applied rates in a file's text. Raises `AppliedRatesError` naming the line."""
    lines = text.split("\n")[:-1]  # the last one has no end
    if not lines or not lines[0].startswith(SIGNATURE):
        raise AppliedRatesError(f"this is no file of applied rates: it must begin with {SIGNATURE!r}")
    if len(lines) < 2 or not lines[1].startswith("update,"):
        raise AppliedRatesError("line 2: must be the header, 'update,lr' or with more columns")
    columns = _checked_columns(lines[1].split(",")[1:])
    origins, updates, rows = [(0, _origin(1, lines[0]))], list[int](), list[list[float]]()
    for number, line in enumerate(lines[2:], start=3):
        if line.startswith("#"):
            origins.append((len(updates), _origin(number, line)))
        else:
            update, values = _row(number, line, len(columns))
            updates.append(update)
            rows.append(values)
    data = np.array(rows, dtype=np.float64).reshape(len(rows), len(columns))
    return AppliedRates(
        np.array(updates, dtype=np.int64),
        {name: np.ascontiguousarray(data[:, index]) for index, name in enumerate(columns)},
        tuple(origins),
    )


def _checked_columns(columns: Sequence[str]) -> tuple[str, ...]:
    if bad := [name for name in columns if not _COLUMN.fullmatch(name)]:
        raise AppliedRatesError(f"a column must be named like lr or lr.0, got {abbreviate(bad[0])}")
    if not columns or len(set(columns)) < len(columns):
        raise AppliedRatesError(f"columns must be different names, one at least, got {abbreviate(list(columns))}")
    return tuple(columns)


def _origin(number: int, line: str) -> Origin:
    if not line.startswith(SIGNATURE):
        raise AppliedRatesError(f"line {number}: a comment must begin with {SIGNATURE!r}, got {abbreviate(line)}")
    try:
        fields = json.loads(line.removeprefix(SIGNATURE))
        return Origin(**fields)
    except (ValueError, TypeError, RecursionError) as error:
        raise AppliedRatesError(f"line {number}: names no table: {abbreviate(line)}") from error


def _row(number: int, line: str, columns: int) -> tuple[int, list[float]]:
    update, *words = line.split(",")
    if not _UPDATE.fullmatch(update):
        raise AppliedRatesError(f"line {number}: update must be a whole number from 0, got {abbreviate(update)}")
    if len(words) != columns:
        raise AppliedRatesError(f"line {number}: has {len(words)} values for {columns} columns")
    return int(update), list(_floats(number, words))


def _floats(number: int, words: Sequence[str]) -> Iterator[float]:
    for word in words:
        try:
            yield float(word)
        except ValueError:
            raise AppliedRatesError(f"line {number}: a rate must be a number, got {abbreviate(word)}") from None


def _first_lines(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        return [file.readline().rstrip("\n"), file.readline().rstrip("\n")]


def _cut_half_line(path: Path) -> None:
    """Remove what follows the last line's end."""
    with path.open("r+b") as file:
        end = file.seek(0, io.SEEK_END)
        kept = end
        while kept > 0:
            begin = max(0, kept - io.DEFAULT_BUFFER_SIZE)
            file.seek(begin)
            if (at := file.read(kept - begin).rfind(b"\n")) >= 0:
                kept = begin + at + 1
                break
            kept = begin
        if kept < end:
            file.truncate(kept)
