"""The methods of a client about runs: those that change them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from client.errors import RunChangedError
from client.runs.calls import amendment_of
from client.runs.documents import DryRun, ProgressReport, Proposal, Run, parse_run
from client.runs.reading import RunReading, given
from scheduler import Schedule, Spec, Table

if TYPE_CHECKING:
    from scheduler.amendments import Amendment

Target = Schedule | Sequence[Schedule] | Spec | Table | Run | str
"""What a run may use: see `RunMethods.create_run`."""

Result = TypeVar("Result")

_MOST_HEADS = 3  # versions of a run that a change by its name follows


class RunMethods(RunReading):
    """What a `client.Client` does with runs: read, create, move and amend them, and follow their changes.

    Every method is one call with one deadline, and raises a `ClientError`. A change is made for the version that was
    looked at (compare-and-set). An answer that was lost is looked for, so a change is never made twice.
    """

    @abstractmethod
    def _target(self, target: Target, total_steps: int | None) -> dict[str, Any]:
        """What a run is to use, as the service takes it; a table is stored there first."""

    def create_run(
        self,
        name: str,
        target: Target,
        total_steps: int | None = None,
        *,
        reason: str | None = None,
        link: str | None = None,
        labels: Mapping[str, str] | None = None,
        rules: Mapping[str, Any] | None = None,
        if_exists: Literal["error", "use"] = "error",
    ) -> Run:
        """Create a run, or find it: any number of launchers may create the same run at once.

        A job that is started again after its run was amended says `if_exists="use"`: the run is returned as it is now,
        at whatever version, if it was created with this very table.

        Args:
            name: `namespace/name`.
            target: what it uses: a schedule, one per parameter group, a spec, a table (stored by its values where the
                service cannot compute it), a digest, or another run's version.
            total_steps: rows of the table of a schedule. May be left out where that has an end of its own.
            reason: why, for the log book.
            link: where to read more.
            labels: key to value, to find the run by.
            rules: guard rails of its changes: `min_lr`, `max_lr`, `max_factor`, `cooloff_seconds`, `margin_steps`.
            if_exists: for a run that has moved on from its first table: an `error`, or `use` it as it is.

        Raises `RunChangedError` where the run exists with another table, or for `use` was created with another one: it
        says where they differ.
        """
        if if_exists not in ("error", "use"):
            raise ValueError(f"if_exists must be 'error' or 'use', got {if_exists!r}")
        more = given(reason=reason, link=link, labels=labels, rules=rules)
        body = {**self._target(target, total_steps), **more, **({} if if_exists == "error" else {"if_exists": "use"})}
        return self._kept(self._calls.create(name, body, deadline=self._deadline_of_call()), as_head=True)

    def move_run(
        self,
        run: Run | str,
        target: Target,
        total_steps: int | None = None,
        *,
        reason: str | None = None,
        link: str | None = None,
        labels: Mapping[str, str] | None = None,
        rules: Mapping[str, Any] | None = None,
    ) -> Run:
        """Move a run to another table, as a new version; the other arguments are those of `create_run`.

        Args:
            run: the run at the version that you looked at, or a name, which stands for whatever it is at now.

        Raises `RunChangedError` where the run is at another version by now, `RunLockedError`, `AmendmentRefusedError`
        where it breaks a rule of the run.
        """
        body = {**self._target(target, total_steps), **given(reason=reason, link=link, labels=labels, rules=rules)}
        deadline = self._deadline_of_call()
        moved = self._at_head(run, lambda head: self._calls.move(head, body, deadline=deadline))
        return self._kept(moved, as_head=True)

    @overload
    def amend(
        self,
        run: Run | str,
        amendment: Amendment | Mapping[str, Any],
        *,
        reason: str | None = None,
        link: str | None = None,
        dry_run: Literal[False] = False,
    ) -> Run:
        """Change a run from a step on, as a new version."""

    @overload
    def amend(
        self,
        run: Run | str,
        amendment: Amendment | Mapping[str, Any],
        *,
        reason: str | None = None,
        link: str | None = None,
        dry_run: Literal[True],
    ) -> DryRun:
        """Return what an amendment would give, and change nothing."""

    def amend(
        self,
        run: Run | str,
        amendment: Amendment | Mapping[str, Any],
        *,
        reason: str | None = None,
        link: str | None = None,
        dry_run: bool = False,
    ) -> Run | DryRun:
        """Change a run from a step on, as a new version; every row before that step keeps its bits.

        Args:
            run: the run at the version that you looked at, or a name, which stands for whatever it is at now.
            amendment: such as `{"template": "cooldown", "from_step": 60_000, "length": 10_000}`: see
                `scheduler.amendments`.
            reason: why, for the log book.
            link: where to read more.
            dry_run: change nothing, and return what would come of it, with a picture and every rule that it breaks.

        Raises `AmendmentRefusedError` where a worker has passed the step or a guard rail forbids it, `RunChangedError`
        where the run is at another version by now, `RunLockedError`, `ScheduleError` for an amendment that is none.
        """
        wanted, reasons = amendment_of(amendment), given(reason=reason, link=link)
        deadline = self._deadline_of_call()
        if dry_run:
            return self._at_head(run, lambda head: self._calls.dry_run(head, wanted, deadline=deadline))
        amended = self._at_head(run, lambda head: self._calls.amend(head, wanted, reasons, deadline=deadline))
        return self._kept(amended, as_head=True)

    @overload
    def propose(
        self,
        run: Run | str,
        amendment: Amendment | Mapping[str, Any],
        *,
        reason: str | None = None,
        link: str | None = None,
        dry_run: Literal[False] = False,
    ) -> Proposal:
        """Propose an amendment."""

    @overload
    def propose(
        self,
        run: Run | str,
        amendment: Amendment | Mapping[str, Any],
        *,
        reason: str | None = None,
        link: str | None = None,
        dry_run: Literal[True],
    ) -> DryRun:
        """Return what an amendment would give, and propose nothing."""

    def propose(
        self,
        run: Run | str,
        amendment: Amendment | Mapping[str, Any],
        *,
        reason: str | None = None,
        link: str | None = None,
        dry_run: bool = False,
    ) -> Proposal | DryRun:
        """Propose an amendment, for someone with the scope `publish` to approve. The arguments are those of `amend`.

        A dry run needs the scopes `propose` and `read`.
        """
        wanted, reasons = amendment_of(amendment), given(reason=reason, link=link)
        deadline = self._deadline_of_call()
        if dry_run:
            return self._at_head(run, lambda head: self._calls.dry_run(head, wanted, deadline=deadline, proposing=True))
        return self._at_head(run, lambda head: self._calls.propose(head, wanted, reasons, deadline=deadline))

    def approve(self, name: str, proposal: int) -> Run:
        """Approve a proposal: the run is amended. Raises `AmendmentRefusedError` where it has changed since."""
        return self._calls.approve(name, proposal, deadline=self._deadline_of_call())

    def reject(self, name: str, proposal: int, *, reason: str | None = None) -> Proposal:
        """Reject a proposal."""
        return self._calls.reject(name, proposal, given(reason=reason), deadline=self._deadline_of_call())

    def rollback(
        self, run: Run | str, version: int, *, rewind: bool = False, reason: str | None = None, link: str | None = None
    ) -> Run:
        """Give a run the table of an earlier version again, as a new version.

        With `rewind` also where workers have passed rows in which the tables differ: they restart from a checkpoint.
        """
        body = {**given(reason=reason, link=link), **({"rewind": True} if rewind else {})}
        deadline = self._deadline_of_call()
        rolled = self._at_head(run, lambda head: self._calls.rollback(head, version, body, deadline=deadline))
        return self._kept(rolled, as_head=True)

    def set_run(
        self,
        run: Run | str,
        *,
        locked: bool | None = None,
        labels: Mapping[str, str] | None = None,
        rules: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> Run:
        """Lock or unlock a run, replace its labels or its guard rails. What is None stays. No version is made.

        Args:
            run: the run as you looked at it, or a name, which stands for whatever it is now.
            locked: whether it refuses changes.
            labels: all of its labels; `change_rules` changes single rules.
            rules: all of its guard rails.
            reason: why, for the log book.

        Raises `RunChangedError` where the run is at another version than you looked at, or was set anew since.
        """
        body = given(locked=locked, labels=labels, rules=rules, reason=reason)
        deadline = self._deadline_of_call()
        changed = self._at_head(run, lambda head: self._calls.set(head, body, deadline=deadline))
        return self._kept(changed, as_head=True)

    def change_rules(
        self, run: Run | str, changes: Mapping[str, float | None], *, clear: bool = False, reason: str | None = None
    ) -> Run:
        """Set single guard rails of a run, and remove those that are None. The others stay. No version is made.

        Args:
            run: as for `set_run`.
            changes: rule to limit, such as `{"margin_steps": 200, "max_lr": None}`.
            clear: remove the others, too.
            reason: why, for the log book.

        Two people who change different rules at once lose nothing: who comes second starts from what the first has set.
        """
        deadline = self._deadline_of_call()

        def change(head: Run) -> Run:
            kept = {} if clear else {name: limit for name, limit in head.rules.items() if limit is not None}
            rules = {name: limit for name, limit in {**kept, **changes}.items() if limit is not None}
            return self._calls.set(head, given(rules=rules, reason=reason), deadline=deadline)

        return self._kept(self._at_head(run, change), as_head=True)

    def delete_run(self, run: Run | str, *, reason: str | None = None) -> Run:
        """Delete a run and return its last version, which says so. All its versions can still be read."""
        body, deadline = given(reason=reason), self._deadline_of_call()
        deleted = self._at_head(run, lambda head: self._calls.delete(head, body, deadline=deadline))
        return self._kept(deleted, as_head=True)

    def report_progress(self, name: str, worker: str, step: int, *, version: int | None = None) -> ProgressReport:
        """Report a worker's position, so that no amendment lands behind it. The last report of a worker wins.

        Args:
            name: of the run.
            worker: such as `rank-0`.
            step: the position in units of the table's axis, at least 0.
            version: of the run, which the worker follows. A report from before a rewind then does not count.

        Returns the run's version and digest now, the highest step of any worker, and whether this report counts.
        """
        return self._calls.report_progress(name, worker, step, version, deadline=self._deadline_of_call())

    def forget_progress(self, name: str, worker: str | None = None) -> list[str]:
        """Forget what a worker of a run has reported, or all of them: it is gone, or its report was wrong.

        Args:
            name: of the run.
            worker: whose report; None for all.

        Returns the workers whose reports are forgotten; none for a worker that has reported nothing.
        """
        return self._calls.forget_progress(name, worker, deadline=self._deadline_of_call())

    def _at_head(self, run: Run | str, change: Callable[[Run], Result]) -> Result:
        """Change a run at the version that was looked at; of a name, at whatever version it is at now.

        What a service says of a run may be 2 seconds old, so a change by name goes on from the version that it is
        refused with.
        """
        if isinstance(run, Run):
            return change(run)
        head = self.run(run)
        for _ in range(_MOST_HEADS):
            try:
                return change(head)
            except RunChangedError as error:
                if not error.current or (newer := parse_run(error.current)).state <= head.state:
                    raise
                head = newer
        return change(head)
