"""The methods of a client that read runs, and follow what happens to them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from client.cache.run_files import RunFiles
from client.errors import OfflineError, RunNotFoundError
from client.runs.calls import Changes, RunCalls
from client.runs.documents import Change, Proposal, Run, RunProgress
from client.runs.watching import watch

_HOW = "Read it once where there is a network, or import a bundle (lrtables export, lrtables import)"
_PATIENCE = 0.8  # of the time that a client waits for the next bytes: while it waits for a change


class RunReading(ABC):
    """What a `client.Client` knows of runs. Every method is one call with one deadline, and raises a `ClientError`."""

    _calls: RunCalls
    _run_files: RunFiles | None
    _timeout: float

    @abstractmethod
    def _deadline_of_call(self) -> float:
        """The deadline of a call that begins now, on the clock `time.monotonic`."""

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
                what = f"the run {name}" if version is None else f"version {version} of the run {name}"
                raise _unknown(what, self._run_files) from error
            if version is None and known.deleted:
                raise OfflineError(f"offline: the run {name} was deleted, when this machine last knew of it") from error
            return known
        except RunNotFoundError:
            if version is None and self._run_files is not None:
                self._run_files.forget(name)
            raise
        return self._kept(found, as_head=version is None)

    def runs(
        self,
        *,
        prefix: str | None = None,
        contains: str | None = None,
        label: str | None = None,
        kind: str | None = None,
        digest: str | None = None,
        newest: bool = False,
    ) -> Iterator[Run]:
        """Every run that the token may read, page after page, by name, or the last created first.

        An offline client knows those that this machine has read, flagged `stale`. Raises `OfflineError` without a
        cache.

        Args:
            prefix: begin of the name, such as `team-a/`.
            contains: part of the name, such as `bert`, in upper or lower case.
            label: `key:value`.
            kind: of the schedule, such as `custom.WarmupWithDecay`.
            digest: begin of the table's digest.
            newest: order by creation, the last created first.
        """
        query = given(prefix=prefix, contains=contains, label=label, kind=kind, digest=digest)
        return self._runs(query, newest=newest)

    def _runs(self, query: Mapping[str, str], *, newest: bool) -> Iterator[Run]:
        asked = {**query, **({"newest": "true"} if newest else {})}
        try:
            yield from self._calls.runs(asked, deadline=self._deadline_of_call)
        except OfflineError as error:  # before the first one
            if self._run_files is None:
                raise _unknown("the list of runs", None) from error
            known = [run for run in self._run_files.heads() if _is_asked_for(run, query)]
            yield from sorted(known, key=lambda run: run.created_at, reverse=True) if newest else known

    def run_versions(self, name: str) -> list[Run]:
        """Every version of a run, the oldest first; also of one that was deleted.

        An offline client gives those up to the newest one that this machine knows. Raises `OfflineError` where one of
        them is not in the cache.
        """
        try:
            found = list(self._calls.versions(name, deadline=self._deadline_of_call))
        except OfflineError as error:
            return self._known_versions(name, error)
        for version in found:
            self._kept(version, as_head=False)
        return found

    def _known_versions(self, name: str, error: OfflineError) -> list[Run]:
        what = f"the history of the run {name}"
        head = None if self._run_files is None else self._run_files.find(name)
        if self._run_files is None or head is None:
            raise _unknown(what, self._run_files) from error
        known = self._run_files.versions(name)
        missing = ", ".join(str(number) for number in range(1, head.version + 1) if number not in known)
        if missing:
            lacking = f"the cache {self._run_files.folder} lacks version {missing} of {head.version}"
            raise OfflineError(f"offline: {what} was looked for: {lacking}. {_HOW}") from error
        return [known[number] for number in range(1, head.version + 1)]

    def proposals(self, name: str) -> list[Proposal]:
        """Every proposal for a run, in the order in which they were made."""
        return list(self._calls.proposals(name, deadline=self._deadline_of_call))

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

    def newest_change(self, run: str) -> int:
        """The number of the newest change of any run, for `changes` from now on. The token must cover this run."""
        return self._calls.newest_change(run, deadline=self._deadline_of_call())

    def watch(self, name: str, since: int | None = None) -> Iterator[Change]:
        """Yield each change of a run as it comes, for ever: from now on, or after a number of the feed.

        A service that is away is waited for. Nothing runs in the background: the iterator waits where it is used.
        """
        return watch(self.changes, lambda: self.newest_change(name), name, since)

    def _kept(self, run: Run, *, as_head: bool) -> Run:
        """A run that the cache of this machine remembers, for clients that are offline."""
        if self._run_files is not None:
            self._run_files.keep(run, as_head=as_head)
        return run


def _unknown(what: str, files: RunFiles | None) -> OfflineError:
    place = "there is no cache" if files is None else f"it is not in the cache {files.folder}"
    return OfflineError(f"offline: {what} was looked for: {place}. {_HOW}")


def _is_asked_for(run: Run, query: Mapping[str, str]) -> bool:
    """Whether a run is one of those that a search asks for."""
    label, _, value = query.get("label", "").partition(":")
    return (
        run.full_name.startswith(query.get("prefix", ""))
        and query.get("contains", "").lower() in run.full_name.lower()
        and run.digest.startswith(query.get("digest", ""))
        and (not label or run.labels.get(label) == value)
        and query.get("kind") in (None, _kind(run))
    )


def _kind(run: Run) -> str | None:
    """The kind of the first group's schedule; None for a table without a spec."""
    schedule = None if run.spec is None else run.spec.get("schedule")
    first = schedule[0] if isinstance(schedule, list) and schedule else schedule
    return first.get("kind") if isinstance(first, Mapping) else None


def given(**members: Any) -> dict[str, Any]:
    """The members that are not None."""
    return {name: value for name, value in members.items() if value is not None}
