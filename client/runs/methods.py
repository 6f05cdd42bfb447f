"""The methods of a client about runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from client.cache.run_files import RunFiles
from client.errors import OfflineError, RunChangedError, RunNotFoundError
from client.runs.calls import Changes, RunCalls, amendment_of
from client.runs.documents import Change, DryRun, ProgressReport, Proposal, Run, RunProgress, parse_run
from client.runs.watching import watch
from scheduler import Schedule, Spec, Table

if TYPE_CHECKING:
    from scheduler.amendments import Amendment

Target = Schedule | Sequence[Schedule] | Spec | Table | Run | str
"""What a run may use: see `RunMethods.create_run`."""

Result = TypeVar("Result")

_MOST_HEADS = 3  # versions of a run that a change by its name follows
_PATIENCE = 0.8  # of the time that a client waits for the next bytes: while it waits for a change


class RunMethods(ABC):
    """What a `client.Client` does with runs: read, create, move and amend them, and follow their changes.

    Every method is one call with one deadline, and raises a `ClientError`. A change is made for the version that was
    looked at (compare-and-set). An answer that was lost is looked for, so a change is never made twice.
    """

    _calls: RunCalls
    _run_files: RunFiles | None
    _timeout: float

    @abstractmethod
    def _deadline_of_call(self) -> float:
        """The deadline of a call that begins now, on the clock `time.monotonic`."""

    @abstractmethod
    def _target(self, target: Target, total_steps: int | None) -> dict[str, Any]:
        """What a run is to use, as the service takes it; a table is stored there first."""

    def run(self, name: str, version: int | None = None) -> Run:
        """The run `namespace/name` as it is now, or one of its versions, which never change.

        What the service says of a run now may be 2 seconds old. Where its database is away, it is the last that it
        knew, flagged `stale` and with its age. So is what an offline client finds in the cache of this machine. Raises
        `RunNotFoundError` for a run that there is not, or not any more, and `OfflineError` for one that is not cached.
        """
        try:
            found = self._calls.run(name, version, deadline=self._deadline_of_call())
        except OfflineError as error:
            known = None if self._run_files is None else self._run_files.find(name, version)
            if known is None:
                raise _unknown(name, version, self._run_files) from error
            if version is None and known.deleted:
                raise OfflineError(f"offline: the run {name} was deleted, when this machine last knew of it") from error
            return known
        except RunNotFoundError:
            if version is None and self._run_files is not None:
                self._run_files.forget(name)
            raise
        return self._kept(found, as_head=version is None)

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
    ) -> Run:
        """Create a run, or find it: any number of launchers may create the same run at once.

        Args:
            name: `namespace/name`.
            target: what it uses: a schedule, one per parameter group, a spec, a table (stored by its values where the
                service cannot compute it), a digest, or another run's version.
            total_steps: rows of the table of a schedule. May be left out where that has an end of its own.
            reason: why, for the log book.
            link: where to read more.
            labels: key to value, to find the run by.
            rules: guard rails of its changes: `min_lr`, `max_lr`, `max_factor`, `cooloff_seconds`, `margin_steps`.

        Raises `RunChangedError` where the run exists with another table: it says where they differ.
        """
        body = {**self._target(target, total_steps), **_given(reason=reason, link=link, labels=labels, rules=rules)}
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
        body = {**self._target(target, total_steps), **_given(reason=reason, link=link, labels=labels, rules=rules)}
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
        given, reasons, deadline = (
            amendment_of(amendment),
            _given(reason=reason, link=link),
            self._deadline_of_call(),
        )
        if dry_run:
            return self._at_head(run, lambda head: self._calls.dry_run(head, given, deadline=deadline))
        amended = self._at_head(run, lambda head: self._calls.amend(head, given, reasons, deadline=deadline))
        return self._kept(amended, as_head=True)

    def propose(
        self,
        run: Run | str,
        amendment: Amendment | Mapping[str, Any],
        *,
        reason: str | None = None,
        link: str | None = None,
    ) -> Proposal:
        """Propose an amendment, for someone with the scope `publish` to approve. The arguments are those of `amend`."""
        given, reasons, deadline = (
            amendment_of(amendment),
            _given(reason=reason, link=link),
            self._deadline_of_call(),
        )
        return self._at_head(run, lambda head: self._calls.propose(head, given, reasons, deadline=deadline))

    def proposals(self, name: str) -> list[Proposal]:
        """Every proposal for a run, in the order in which they were made."""
        return list(self._calls.proposals(name, deadline=self._deadline_of_call))

    def approve(self, name: str, proposal: int) -> Run:
        """Approve a proposal: the run is amended. Raises `AmendmentRefusedError` where it has changed since."""
        return self._calls.approve(name, proposal, deadline=self._deadline_of_call())

    def reject(self, name: str, proposal: int, *, reason: str | None = None) -> Proposal:
        """Reject a proposal."""
        return self._calls.reject(name, proposal, _given(reason=reason), deadline=self._deadline_of_call())

    def rollback(
        self, run: Run | str, version: int, *, rewind: bool = False, reason: str | None = None, link: str | None = None
    ) -> Run:
        """Give a run the table of an earlier version again, as a new version.

        With `rewind` also where workers have passed rows in which the tables differ: they restart from a checkpoint.
        """
        body = {**_given(reason=reason, link=link), **({"rewind": True} if rewind else {})}
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
        """Lock or unlock a run, replace its labels or its guard rails. What is None stays. No version is made."""
        body = _given(locked=locked, labels=labels, rules=rules, reason=reason)
        deadline = self._deadline_of_call()
        changed = self._at_head(run, lambda head: self._calls.set(head, body, deadline=deadline))
        return self._kept(changed, as_head=True)

    def delete_run(self, run: Run | str, *, reason: str | None = None) -> Run:
        """Delete a run and return its last version, which says so. All its versions can still be read."""
        body, deadline = _given(reason=reason), self._deadline_of_call()
        deleted = self._at_head(run, lambda head: self._calls.delete(head, body, deadline=deadline))
        return self._kept(deleted, as_head=True)

    def runs(
        self,
        *,
        prefix: str | None = None,
        label: str | None = None,
        kind: str | None = None,
        digest: str | None = None,
        newest: bool = False,
    ) -> Iterator[Run]:
        """Every run that the token may read, page after page, by name, or the last created first.

        Args:
            prefix: begin of the name, such as `team-a/`.
            label: `key:value`.
            kind: of the schedule, such as `custom.WarmupWithDecay`.
            digest: begin of the table's digest.
            newest: order by creation, the last created first.
        """
        query = _given(prefix=prefix, label=label, kind=kind, digest=digest)
        return self._calls.runs(query | ({"newest": "true"} if newest else {}), deadline=self._deadline_of_call)

    def run_versions(self, name: str) -> list[Run]:
        """Every version of a run, the oldest first; also of one that was deleted."""
        return list(self._calls.versions(name, deadline=self._deadline_of_call))

    def report_progress(self, name: str, worker: str, step: int) -> ProgressReport:
        """Report a worker's position, so that no amendment lands behind it. The last report of a worker wins.

        Args:
            name: of the run.
            worker: such as `rank-0`.
            step: the position in units of the table's axis, at least 0.

        Returns the run's version and digest now, and the highest step of any worker.
        """
        return self._calls.report_progress(name, worker, step, deadline=self._deadline_of_call())

    def run_progress(self, name: str) -> RunProgress:
        """The positions that workers have reported since the run was last rewound: the highest, and each worker's."""
        return self._calls.progress(name, deadline=self._deadline_of_call())

    def changes(self, since: int, *, wait: float = 0.0, run: str | None = None) -> Changes:
        """The next changes of all runs, or of one, after a number; and the number to ask for next.

        Every change has a number, without a gap: whoever asks again with `next` sees each change once.

        Args:
            since: the number; 0 is the beginning.
            wait: seconds to wait for a change where there is none yet; at most 60, and 0.8 of the client's `timeout`.
            run: `namespace/name`; None for all that the token may read.
        """
        wait = min(wait, _PATIENCE * self._timeout)  # a response that takes longer counts as lost
        return self._calls.changes(since, wait=wait, name=run, deadline=self._deadline_of_call() + wait)

    def watch(self, name: str, since: int | None = None) -> Iterator[Change]:
        """Yield each change of a run as it comes, for ever: from now on, or after a number of the feed.

        A service that is away is waited for. Nothing runs in the background: the iterator waits where it is used.
        """
        return watch(
            self.changes, lambda: self._calls.newest_change(name, deadline=self._deadline_of_call()), name, since
        )

    def _kept(self, run: Run, *, as_head: bool) -> Run:
        """A run that the cache of this machine remembers, for clients that are offline."""
        if self._run_files is not None:
            self._run_files.keep(run, as_head=as_head)
        return run

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
                version = error.current.get("version")
                if not isinstance(version, int) or version <= head.version:
                    raise
                head = parse_run(error.current)
        return change(head)


def _unknown(name: str, version: int | None, files: RunFiles | None) -> OfflineError:
    what = f"the run {name}" if version is None else f"version {version} of the run {name}"
    place = "there is no cache" if files is None else f"it is not in the cache {files.folder}"
    return OfflineError(
        f"offline: {what} was looked for: {place}. Read it once where there is a network, or import a bundle "
        "(lrtables export, lrtables import)"
    )


def _given(**members: Any) -> dict[str, Any]:
    """The members that are not None."""
    return {name: value for name, value in members.items() if value is not None}
