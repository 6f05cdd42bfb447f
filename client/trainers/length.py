"""The length of a table beside that of the training."""

from __future__ import annotations

import warnings

from scheduler import ScheduleWarning, Table


def warn_of_length(table: Table, updates: int, *, per_step: int = 1, stacklevel: int = 2) -> None:
    """Warn with `ScheduleWarning` where a table ends before or after the training does.

    A shorter table whose `after` is `release` hands over to another scheduler: that is meant, and silent.

    Args:
        table: the table of the training.
        updates: of the optimizer in the whole training, at least 1.
        per_step: units of the table's axis in one update.
        stacklevel: of the warning, as in `warnings.warn`.
    """
    length = -(-table.total_steps * table.stride // per_step)
    if length > updates:
        last = table.row((updates - 1) * per_step, group=0).get("lr")
        what = f"its last {length - updates} are not used, and the training ends at lr {last!r}"
    elif length < updates and table.after != "release":
        what = "then it raises PastEndError" if table.after == "error" else "after them its last row is held"
    else:
        return
    warnings.warn(
        f"the table is for {length} updates, and the training makes {updates}: {what}. "
        "Fetch a table as long as the training",
        ScheduleWarning,
        stacklevel + 1,
    )
