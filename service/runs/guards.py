"""The guard rails of runs: what a change does to the table, and which rules it breaks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection

from scheduler.views.difference import largest_factor
from service.database.runs.progress import ProgressRecords
from service.database.runs.records import Check
from service.database.runs.rows import ProgressRow, RunName, RunRow
from service.errors import AmendmentRefusedError, GuardRailError
from service.runs.differences import compare
from service.tables.readable import ReadableTable

MARGIN = 100
"""Rows between the highest reported one and the first that a change may touch, where a run has no rule for it."""

_BLOCK = 2**16  # rows that are read at a time: a table in the store is read in pieces

Passed = Literal["margin", "equal", "rewind"]
"""What holds for the rows that workers have passed: they and a margin behind them are kept, they alone are kept, or
workers go back, and what they have reported is forgotten."""


@dataclass(frozen=True)
class TableChange:
    """What a change does to the table of a run.

    Args:
        first_step: first row that differs from the old table; None if none does.
        from_step: first row that the change may touch; rates are looked at from there on.
        least, largest: of the new rates from there on; None if there are none.
        factor: the largest factor, up or down, between an old and a new rate of a row from there on; 1 at least.
        stride: units of progress per row of the old table.
    """

    first_step: int | None
    from_step: int
    least: float | None
    largest: float | None
    factor: float
    stride: int


@dataclass(frozen=True)
class Refusal:
    """A rule that a change breaks: its name, its limit, the change's value, and the same in a sentence."""

    rule: str
    limit: float
    value: float
    detail: str


def measure(old: ReadableTable, new: ReadableTable, from_step: int | None = None) -> TableChange:
    """Return what a change from one table to another does; blocks while it reads the store.

    Without `from_step` it is the first row that differs.
    """
    difference = compare(old, new)
    first = None if difference is None else difference.first_step
    start = new.total_steps if first is None else first
    start = start if from_step is None else from_step
    lows, highs = [], []
    for name, column in new.columns.items():
        for begin in range(start, new.total_steps if name.partition(".")[0] == "lr" else 0, _BLOCK):
            rates = column[begin : min(begin + _BLOCK, new.total_steps)]
            lows.append(float(rates.min()))
            highs.append(float(rates.max()))
    factor = largest_factor(old, new, start)
    return TableChange(first, start, min(lows, default=None), max(highs, default=None), factor, old.stride)


class Guards:
    """The guard rails of runs.

    Args:
        progress: the positions that workers have reported.
    """

    def __init__(self, progress: ProgressRecords) -> None:
        self._progress = progress

    def check(self, name: RunName, change: TableChange | None, passed: Passed) -> Check:
        """Return a check for the transaction of a change. It raises `AmendmentRefusedError` and `GuardRailError`.

        Without a `change`, where the old table is lost, only the rules that need none hold.
        """

        def check(connection: Connection, run: RunRow | None) -> None:
            assert run is not None  # it is at the expected version
            if passed == "rewind":
                self._progress.clear(connection, name)
            elif change is not None:
                refuse_behind(change, self._progress.highest(connection, name), margin_of(run, passed))
            if broken := list(broken_rules(run, change, time.time())):
                raise guard_rail_error(broken)

        return check

    def forgetting(self, name: RunName) -> Check:
        """Return what forgets the reports of workers in the transaction that deletes a run, or creates it anew."""
        return lambda connection, run: self._progress.clear(connection, name)

    def refusals(self, name: RunName, run: RunRow, change: TableChange, passed: Passed) -> list[dict[str, Any]]:
        """Return every reason for which this change would be refused now, as JSON data. Blocks."""
        found: list[dict[str, Any]] = []
        if run.locked:
            found.append({"code": "run-locked", "detail": f"the run {name} is locked"})
        if passed != "rewind":
            try:
                refuse_behind(change, self._progress.highest_now(name), margin_of(run, passed))
            except AmendmentRefusedError as error:
                found.append({"code": "amendment-refused", "detail": str(error), **error.members})
        return found + [{"code": "guard-rail", **asdict(each)} for each in broken_rules(run, change, time.time())]


def margin_of(run: RunRow, passed: Passed) -> int:
    """Return how many rows behind the highest reported one a change must keep, too."""
    return int(run.rules.get("margin_steps", MARGIN)) if passed == "margin" else 0


def refuse_behind(change: TableChange, highest: ProgressRow | None, margin: int) -> None:
    """Raise `AmendmentRefusedError` if the change touches a row that a worker has passed, or may have by now."""
    if highest is None or change.first_step is None:
        return
    row = highest.step // change.stride
    if change.from_step <= row + margin:
        raise AmendmentRefusedError(
            f"from_step must be > {row + margin}, got {change.from_step}: the worker {highest.worker} has reported "
            f"step {highest.step}, row {row}, {_time(time.time() - highest.reported_at)} ago, and the margin is "
            f"{margin} rows; a worker that is gone, or has reported a wrong step, can be forgotten",
            members={
                "worker": highest.worker,
                "step": highest.step,
                "reported_at": datetime.fromtimestamp(highest.reported_at, UTC).isoformat(),
                "margin_steps": margin,
                "from_step": change.from_step,
            },
        )


def _time(seconds: float) -> str:
    """Return a time as people say it, to one unit."""
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def broken_rules(run: RunRow, change: TableChange | None, now: float) -> Iterator[Refusal]:
    """Yield each rule of a run that a change breaks at this time, in seconds since 1970."""
    rules = run.rules
    if (limit := rules.get("cooloff_seconds")) is not None and (age := max(now - run.changed_at, 0.0)) < limit:
        text = f"the run was changed {age:.0f} s ago, and its rules ask for {limit:g} s between two changes"
        yield Refusal("cooloff_seconds", limit, round(age, 3), text)
    if change is None:
        return
    if (limit := rules.get("min_lr")) is not None and change.least is not None and change.least < limit:
        text = f"the least rate from step {change.from_step} on would be {change.least!r}, and min_lr is {limit!r}"
        yield Refusal("min_lr", limit, change.least, text)
    if (limit := rules.get("max_lr")) is not None and change.largest is not None and change.largest > limit:
        text = f"the largest rate from step {change.from_step} on would be {change.largest!r}, and max_lr is {limit!r}"
        yield Refusal("max_lr", limit, change.largest, text)
    if (limit := rules.get("max_factor")) is not None and change.factor > limit:
        value = min(change.factor, 1e300)  # JSON has no infinity
        text = f"a rate would change by the factor {value:g}, and max_factor is {limit:g}"
        yield Refusal("max_factor", limit, value, text)


def without_values(error: GuardRailError) -> GuardRailError:
    """Return the error without the values of the table that break a rule: for who may not read them."""
    refusals = [{"rule": each["rule"], "limit": each["limit"]} for each in error.members["refusals"]]
    text = "; ".join(map(_outline, refusals))
    return GuardRailError(text, members={**refusals[0], "refusals": refusals})


def outlined(refusals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return refusals as `Guards.refusals` has them, without the values of the table that break a rule."""
    return [
        {"code": each["code"], "rule": each["rule"], "limit": each["limit"], "detail": _outline(each)}
        if each["code"] == "guard-rail"
        else each
        for each in refusals
    ]


def _outline(refusal: dict[str, Any]) -> str:
    return f"it breaks the rule {refusal['rule']}, whose limit is {refusal['limit']:g}"


def guard_rail_error(broken: Sequence[Refusal]) -> GuardRailError:
    """Return the error for rules that a change breaks; the first one is named in its members."""
    first = broken[0]
    refusals = [asdict(each) for each in broken]
    members = {"rule": first.rule, "limit": first.limit, "value": first.value, "refusals": refusals}
    return GuardRailError("; ".join(each.detail for each in broken), members=members)
