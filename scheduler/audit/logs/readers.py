"""Logs of trainers as files: which format it is, and the numbers in it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scheduler.audit.applied import SIGNATURE, AppliedRatesError, parse_applied_rates
from scheduler.audit.logs.logged import MAX_STEP, Cells, LogError, RateLog
from scheduler.audit.logs.rate_columns import is_rate_name
from scheduler.audit.logs.tensorboard_log import is_event_file, read_tensorboard
from scheduler.texts import abbreviate

STEP_NAMES = (
    *("update", "global_step", "train/global_step", "trainer/global_step", "step", "steps", "iteration", "iter"),
    *("train/step", "_step"),
)
"""Columns that count updates, the first that is there; W&B's own `_step` counts calls of its log, and is the last."""

LIGHTNING_NAME = re.compile(r"lr-\w+")
HUGGING_FACE_OFFSETS: Sequence[int] = (
    -1,
    0,
)  # since transformers 4.50 the rate of the update just made, before that the next one's
_WHOLE = re.compile(r"\d{1,15}(?:\.0*)?")
_EMPTY = {"", "null", "none"}


def read_log(path: str | os.PathLike[str]) -> RateLog:
    """Read a log: a file, or the folder in which a trainer left one.

    Raises `LogError` naming the file and the place in it, `OSError` from the system, and `ImportError` with what to
    install where TensorBoard's files cannot be read.
    """
    file = Path(path)
    if file.is_dir():
        file = _file_in(file)
    if file.is_dir() or is_event_file(file):
        return read_tensorboard(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise LogError(f"{file} is no text in UTF-8, and not called like an event file of TensorBoard") from error
    try:
        return parse_log(text)
    except (LogError, AppliedRatesError) as error:
        raise LogError(f"{file}: {error}") from error


def parse_log(text: str) -> RateLog:
    """The log in a text: JSON, JSON lines, CSV or our file of applied rates. Raises `LogError`."""
    if text.startswith(SIGNATURE):
        return _applied(text)
    begin = text.lstrip()[:1]
    if begin in ("{", "["):
        return _of_json(text)
    if not begin:
        raise LogError("the log is empty")
    return _of_csv(text)


def _file_in(folder: Path) -> Path:
    """The log in a folder; the folder itself where TensorBoard's event files lie in it."""
    if any(is_event_file(path) for path in folder.iterdir()):
        return folder
    for name in ("trainer_state.json", "metrics.csv"):
        if (folder / name).is_file():
            return folder / name
    states = sorted(folder.glob("checkpoint-*/trainer_state.json"), key=_checkpoint_number)
    if states:
        return states[-1]
    found = [*folder.glob("*/metrics.csv"), *{path.parent for path in folder.glob("*/*tfevents*")}]
    if len(found) == 1:
        return found[0]
    names = ", ".join(str(path.relative_to(folder)) for path in sorted(found))
    raise LogError(
        f"{folder} holds several logs: choose one of {names}"
        if found
        else f"{folder} holds no trainer_state.json, no metrics.csv and no event file"
    )


def _checkpoint_number(path: Path) -> tuple[int, str]:
    number = path.parent.name.removeprefix("checkpoint-")
    return int(number) if number.isdecimal() else -1, number


def _applied(text: str) -> RateLog:
    found = parse_applied_rates(text)
    steps = found.updates.tolist()
    columns = {name: Cells(steps, [repr(value) for value in values.tolist()]) for name, values in found.columns.items()}
    return RateLog("applied rates", columns, is_exact=True, origins=found.origins)


# -- JSON -------------------------------------------------------------------------------------------------------------


class _Word(str):
    """A number as it is written in JSON."""

    __slots__ = ()


def _of_json(text: str) -> RateLog:
    try:
        data = _loads(text)
    except ValueError:
        data = [_line(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if isinstance(data, dict) and "log_history" in data:
        records, source, offsets = (
            data["log_history"],
            "trainer_state.json of the Hugging Face Trainer",
            HUGGING_FACE_OFFSETS,
        )
    else:
        records, source, offsets = data, "JSON records", [0]
    if isinstance(records, dict):
        records = [records]
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise LogError("the JSON must hold a list of objects, one for each step, or a trainer's state with one")
    return _of_records(records, source, offsets)


def _loads(text: str) -> Any:
    try:
        return json.loads(text, parse_float=_Word, parse_int=_Word, parse_constant=_Word)
    except RecursionError:
        raise LogError("the JSON is nested too deeply") from None


def _line(number: int, line: str) -> Any:
    try:
        return _loads(line)
    except json.JSONDecodeError as error:
        raise LogError(f"line {number}: is no JSON: {error}") from error


def _of_records(records: Sequence[Mapping[str, Any]], source: str, offsets: Sequence[int]) -> RateLog:
    names = dict.fromkeys(name for record in records for name in record)
    step_name = _step_column(names)
    if step_name == "train/global_step":
        source, offsets = "records of the Hugging Face Trainer", HUGGING_FACE_OFFSETS
    columns = {name: Cells() for name in names if name != step_name}
    for number, record in enumerate(records, start=1):
        for name, word in record.items():
            if name != step_name and isinstance(word, _Word) and step_name in record:
                columns[name].add(_step(f"record {number}", record[step_name]), word)
    return RateLog(source, columns, offsets)


# -- CSV --------------------------------------------------------------------------------------------------------------


def _of_csv(text: str) -> RateLog:
    header, _, rest = text.partition("\n")
    separator = max(",\t;", key=header.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise LogError(f"this is no CSV: {error}") from error
    names = [name.strip() for name in rows[0]]
    if not rest.strip():
        raise LogError("the CSV has a header and no rows")
    step_name = _step_column(names)
    duplicated = {name for name in names if names.count(name) > 1}
    if step_name in duplicated:
        raise LogError(f"the CSV has the column {step_name!r} twice")
    at = names.index(step_name)
    columns: dict[str, Cells] = {name: Cells() for name in names if name != step_name and name not in duplicated}
    for number, row in enumerate(rows[1:], start=2):
        if row and len(row) <= at:
            raise LogError(f"line {number}: has {len(row)} cells, and the header has {len(names)}")
        for name, word in zip(names, row, strict=False):
            if name in columns and word.strip().lower() not in _EMPTY and row[at].strip():
                columns[name].add(_step(f"line {number}", row[at]), word.strip())
    return RateLog(*_csv_source(step_name, columns), is_exact=False)


def _csv_source(step_name: str, columns: Mapping[str, Cells]) -> tuple[str, dict[str, Cells], Sequence[int]]:
    numeric = {name: cells for name, cells in columns.items() if is_rate_name(name) or _is_numeric(cells)}
    if step_name == "train/global_step":
        return "CSV of the Hugging Face Trainer", numeric, HUGGING_FACE_OFFSETS
    if "epoch" in columns and any(LIGHTNING_NAME.match(name) for name in columns):
        return "CSV of Lightning", numeric, (0,)
    return "CSV", numeric, (0,)


def _is_numeric(cells: Cells) -> bool:
    return all(map(_is_number, cells.words))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


# -- steps ------------------------------------------------------------------------------------------------------------


def _step_column(names: Iterable[str]) -> str:
    """The column that counts updates. Raises `LogError` where there is none."""
    by_name = {name.lower(): name for name in reversed(list(names))}
    for usual in STEP_NAMES:
        if usual in by_name:
            return by_name[usual]
    raise LogError(f"no column counts steps, such as {', '.join(STEP_NAMES[:5])}: there are {_some(by_name.values())}")


def _some(names: Iterable[str]) -> Iterator[str] | str:
    return abbreviate(sorted(names)[:12])


def _step(place: str, word: object) -> int:
    text = str(word).strip()
    if not _WHOLE.fullmatch(text) or int(float(text)) > MAX_STEP:
        raise LogError(f"{place}: a step must be a whole number from 0, got {abbreviate(text)}")
    return int(text.partition(".")[0])
