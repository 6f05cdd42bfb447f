"""Which columns of a log are learning rates, by the names that trainers give them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from scheduler.audit.logs.logged import Cells, LogError
from scheduler.texts import abbreviate, near_names

USUAL_NAMES = (
    "lr",
    "learning_rate",
    "train/lr",
    "train/learning_rate",
    "train_lr",
    "train_learning_rate",
    "learning rate",
)
RATE_NAME = re.compile(r"(?:^|[\W_])(?:lr|learning[_ -]?rate)(?:$|[\W_]|\d)", re.IGNORECASE)
OTHER_NAME = re.compile(r"momentum|weight[_-]?decay|__(?:min|max)$|scale|factor|multipl|(?:^|[\W_])beta", re.IGNORECASE)
_NUMBERS = re.compile(r"(\d+)")
_MOST_LISTED = 12


def is_rate_name(name: str) -> bool:
    """Whether a column is called like a learning rate: `lr`, `train/learning_rate`, `lr-AdamW/pg1`."""
    return RATE_NAME.search(name) is not None and OTHER_NAME.search(name) is None


def rate_columns(columns: Mapping[str, Cells], wanted: str | None, groups: int | None) -> list[str]:
    """The columns to audit, in the order of their parameter groups.

    Args:
        columns: the log's columns; those without a number are passed over.
        wanted: the column that was asked for by name; None to find it.
        groups: the number of groups that have columns of their own in the table; None where one serves all.

    Raises `LogError` where there is none, and listing them where there are several and none is the usual one.
    """
    filled = {name: cells for name, cells in columns.items() if cells.words}
    if wanted is not None:
        if wanted not in filled:
            near = near_names(wanted, filled) or list(filled)[:_MOST_LISTED]
            raise LogError(
                f"there is no column {abbreviate(wanted)} with numbers; there are {', '.join(near) or 'none'}"
            )
        return [wanted]
    found = sorted((name for name in filled if is_rate_name(name)), key=_order)
    if not filled:
        raise LogError("no column but that of the steps has a number")
    if not found:
        raise LogError(f"no column is called like a learning rate: choose one with --column, of {_listed(filled)}")
    if len(found) == 1 or (groups is not None and len(found) == groups):
        return found
    if usual := [name for name in found if name.lower() in USUAL_NAMES]:
        found = usual
    if len(found) > 1 and any(filled[name] != filled[found[0]] for name in found[1:]):
        raise LogError(f"several columns may be the learning rate: choose one with --column, of {_listed(found)}")
    return found[:1]


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + more


def _order(name: str) -> list[tuple[int, str]]:
    """Names with numbers in them in the order of the numbers: pg2 before pg10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _NUMBERS.split(name)]
