"""Amendments of runs: another table from a step on, proven to be the same before it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from scheduler import Schedule, ScheduleError, Spec
from scheduler.amendments import (
    Amendment,
    NewTail,
    Rewind,
    UnsplittableError,
    amend,
    describe_amendment,
    spec_of_table,
)
from scheduler.named_tables import UnresolvedError, named_digests, resolved
from scheduler.numerics.cancellation import ComputationStoppedError, cancellable
from scheduler.table_format import TableError
from service.concurrency.executors import Executors
from service.database.runs.records import Check
from service.database.runs.rows import Author, Expected, RunEdit, RunHead, RunName, RunTarget
from service.errors import (
    AmendmentRefusedError,
    DeadlineExceededError,
    NotComputableError,
    TableNotFoundError,
)
from service.runs.guards import Passed, TableChange
from service.runs.pictures import picture_of_change
from service.runs.service import RunChangedError, RunService, locked, not_at
from service.settings import Settings
from service.tables.readable import ReadableTable
from service.tables.service import TableService
from service.tables.specs import invalid, read_spec

_SECONDS = 10.0  # for the rates that an amendment starts from; only schedules that must be stepped take long

CheckSpec = Callable[[Spec], None]
"""Raises if the caller may not have this spec."""


@dataclass(frozen=True)
class Prepared:
    """An amendment whose table is computed and stored, for a run that has not been changed.

    Args:
        head: the run that it is for.
        expected: what the run must be at when it is applied.
        amendment: as it was asked for.
        spec: of the amended table.
        target: the amended table.
        change: what it does to the run's table.
    """

    head: RunHead
    expected: Expected
    amendment: Amendment
    spec: Spec
    target: RunTarget
    change: TableChange

    @property
    def passed(self) -> Passed:
        """What holds for the rows that workers have passed."""
        return "rewind" if isinstance(self.amendment, Rewind) else "margin"

    def check_changes(self) -> None:
        """Raise `AmendmentRefusedError` if it changes no row: no proposal of it could be approved. A rewind may."""
        if self.change.first_step is None and self.passed != "rewind":
            raise AmendmentRefusedError("it changes no row", members={"from_step": self.amendment.from_step})


@dataclass(frozen=True)
class DryRun:
    """What an amendment would do: `last` has the last row's values, `refusals` why it would be refused."""

    prepared: Prepared
    last: Mapping[str, float]
    refusals: list[dict[str, Any]]
    picture: str


class AmendmentService:
    """Amendments of named runs. An instance belongs to one event loop; blocking calls run in threads.

    Args:
        runs: the runs.
        tables: the tables.
        executors: the threads for blocking calls.
        settings: the limits.
    """

    def __init__(self, runs: RunService, tables: TableService[Any], executors: Executors, settings: Settings) -> None:
        self._runs = runs
        self._tables = tables
        self._executors = executors
        self._settings = settings

    async def prepare(
        self, name: RunName, expected: Expected, amendment: Amendment, check_spec: CheckSpec, *, dry_run: bool = False
    ) -> Prepared:
        """Compute and store the table of an amendment, and prove that its rows before `from_step` are the same.

        The spec of the run is amended. Where that cannot give the same rows, because its table was computed on another
        kind of machine, or because the spec cannot be cut there, the stored table is amended: its rows before the step
        are taken from it. Raises `RunChangedError`, `RunNotFoundError`, `RunDeletedError`, `RunLockedError` unless it
        is for a dry run, `InvalidRequestError`, `AmendmentRefusedError`, and what `check_spec` and
        `TableService.obtain` raise.
        """
        head = await self._runs.current(name)
        if not head.run.is_at(expected):
            raise RunChangedError(not_at(name, head, expected), head, None)
        if head.run.locked and not dry_run:
            raise locked(name)
        step = amendment.from_step
        for from_values in (False, True):
            spec = await self._amended(head, amendment, from_values=from_values)
            check_spec(spec)
            target = await self._runs.target_of_spec(spec)
            change = await self._runs.measured(head.run.digest, target.digest, step)
            if change is not None and (change.first_step is None or change.first_step >= step):
                return Prepared(head, expected, amendment, spec, target, change)
        raise AmendmentRefusedError(
            f"the rows before step {step} of {name} cannot be kept", members={"from_step": step}
        )

    async def apply(self, name: RunName, prepared: Prepared, edit: RunEdit, also: Check | None = None) -> RunHead:
        """Append a prepared amendment to its run as a version; return the run. Raises what `RunService.move` raises.

        `also` is called in the transaction, after the run's guard rails.
        """
        prepared.check_changes()
        guards = self._runs.guards.check(name, prepared.change, prepared.passed)

        def check(*at: Any) -> None:
            guards(*at)
            if also is not None:
                also(*at)

        head, _ = await self._runs.change(name, prepared.expected, prepared.target, edit, check)
        return head

    async def dry_run(self, name: RunName, prepared: Prepared) -> DryRun:
        """Return what a prepared amendment would do. The run stays as it is."""
        refusals = await self.refusals(name, prepared)
        old, new = await self._tables.get(prepared.head.run.digest), await self._tables.get(prepared.target.digest)
        title = f"{name}: {describe_amendment(prepared.amendment)}"
        with old.pin(), new.pin():
            step = prepared.amendment.from_step
            picture = await self._executors.serialize(picture_of_change, old.table, new.table, step, title=title)
            last = {column: float(values[-1]) for column, values in new.table.columns.items()}
        return DryRun(prepared, last, refusals, picture)

    async def refusals(self, name: RunName, prepared: Prepared) -> list[dict[str, Any]]:
        """Return why a prepared amendment would be refused now, each reason with its code and detail."""
        refusals = await self._executors.database(
            self._runs.guards.refusals, name, prepared.head.run, prepared.change, prepared.passed
        )
        try:
            prepared.check_changes()
        except AmendmentRefusedError as error:
            refusals.append({"code": "amendment-refused", "detail": str(error)})
        return refusals

    async def _amended(self, head: RunHead, amendment: Amendment, *, from_values: bool) -> Spec:
        """Return the amended spec: that of the run's spec, or of its table's values."""
        text = None if from_values else head.version.spec
        spec = None if text is None else Spec.model_validate_json(text)
        digests = named_digests((*(spec.every_schedule() if spec else ()), *_tails(amendment)))
        with ExitStack() as pins:
            tables: dict[str, ReadableTable] = {}
            for digest in sorted({head.run.digest, *digests}):
                try:
                    entry = await self._tables.get(digest)
                except TableNotFoundError as error:
                    raise NotComputableError(f"a Literal refers to an unknown table: {error}") from error
                pins.enter_context(entry.pin())
                tables[digest] = entry.table
            return await self._executors.parse(
                _amended, spec, head.run.digest, amendment, tables, self._settings, time.monotonic() + _SECONDS
            )


def edit_of(amendment: Amendment, author: Author, reason: str | None, link: str | None) -> RunEdit:
    """Return what an amendment writes into the run's history, beside its table."""
    is_rewind = isinstance(amendment, Rewind)
    action, text = "rewind" if is_rewind else "amend", amendment.model_dump_json()
    return RunEdit(action, author, reason, link, amendment.from_step, text, begins_branch=is_rewind)


def _amended(
    spec: Spec | None,
    digest: str,
    amendment: Amendment,
    tables: Mapping[str, ReadableTable],
    settings: Settings,
    deadline: float,
) -> Spec:
    """Return the amended spec, within the limits of the server. Blocks while it computes the rates it starts from."""
    try:
        with resolved(tables), cancellable(lambda: time.monotonic() > deadline):
            try:
                amended = amend(spec or spec_of_table(tables[digest].layout, digest), amendment)
            except UnsplittableError:
                if spec is None:
                    raise
                amended = amend(spec_of_table(tables[digest].layout, digest), amendment)
    except ScheduleError as error:
        raise invalid(error) from error
    except (TableError, UnresolvedError) as error:
        raise NotComputableError(str(error)) from error
    except ComputationStoppedError as error:
        raise DeadlineExceededError(f"the rates at the step were not computed within {_SECONDS:g} s") from error
    return read_spec(amended.model_dump_json().encode(), settings)


def _tails(amendment: Amendment) -> Iterable[Schedule]:
    if not isinstance(amendment, NewTail | Rewind):
        return ()
    return (amendment.tail,) if isinstance(amendment.tail, Schedule) else amendment.tail


def names_tables(amendment: Amendment) -> bool:
    """Return whether an amendment refers to stored tables, whose values it would reveal."""
    return bool(named_digests(_tails(amendment)))
