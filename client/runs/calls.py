"""The requests about runs: read one, change it by compare-and-set, follow what happens to it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from client.errors import (
    OutcomeUnknownError,
    RequestRefusedError,
    RunChangedError,
    RunNotFoundError,
    UnexpectedResponseError,
    run_error,
)
from client.http.responses import Response, parse_object
from client.http.retries import full_jitter
from client.http.transport import Transport
from client.runs.documents import (
    Change,
    DryRun,
    ProgressReport,
    Proposal,
    Run,
    RunProgress,
    parse_change,
    parse_dry_run,
    parse_page,
    parse_progress,
    parse_proposal,
    parse_report,
    parse_run,
    run_name,
)
from scheduler import Spec

if TYPE_CHECKING:
    from scheduler.amendments import Amendment

_MAX_BYTES = 2**26  # of a response: a page of a hundred versions, each with a spec of some hundred kilobytes
_MOST_ATTEMPTS = 8  # of one compare-and-set whose answers are lost
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds, of those attempts
_NEWEST = re.compile(rb"^id: ?([0-9]{1,15})$", re.MULTILINE)


class Changes(NamedTuple):
    """A part of the feed of changes, and the number after which the next part begins."""

    changes: list[Change]
    next: int


class RunCalls:
    """The requests about runs over one transport.

    Every method takes `deadline`, on the clock `time.monotonic`, for all of its requests together, and raises a
    `ClientError`.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    # -- reading ------------------------------------------------------------------------------------------------------

    def run(self, name: str, version: int | None, *, deadline: float) -> Run:
        """The run as it is now, or one of its versions."""
        path = _path(name) if version is None else f"{_path(name)}/versions/{version}"
        found = self._run(self._send("GET", path, deadline))
        if found.full_name != name or version not in (None, found.version):
            raise UnexpectedResponseError(
                f"{self._source} answered with {found.full_name} at version {found.version}, which was not asked for"
            )
        return found

    def runs(self, query: Mapping[str, str], *, deadline: Callable[[], float]) -> Iterator[Run]:
        """Every run that a search finds, page after page, each with a deadline of its own."""
        for item in self._pages("/v1/runs", query, "runs", deadline):
            yield parse_run(item, self._source)

    def versions(self, name: str, *, deadline: Callable[[], float]) -> Iterator[Run]:
        """Every version of a run, the oldest first."""
        for item in self._pages(f"{_path(name)}/versions", {}, "versions", deadline):
            yield parse_run(item, self._source)

    def proposals(self, name: str, *, deadline: Callable[[], float]) -> Iterator[Proposal]:
        """Every proposal for a run, in the order in which they were made."""
        for item in self._pages(f"{_path(name)}/proposals", {}, "proposals", deadline):
            yield parse_proposal(item, self._source)

    def proposal(self, name: str, number: int, *, deadline: float) -> Proposal:
        """One proposal for a run."""
        response = self._send("GET", f"{_path(name)}/proposals/{number}", deadline)
        return parse_proposal(self._object(response), self._source)

    def changes(self, since: int, *, wait: float, name: str | None, deadline: float) -> Changes:
        """The changes after a number; where there is none, the response comes after `wait` seconds."""
        query = {"since": str(since), "wait": f"{wait:g}"}
        query |= {} if name is None else {"run": "/".join(run_name(name))}
        response = self._send("GET", f"/v1/changes?{urlencode(query)}", deadline)
        found, following = parse_page(bytes(response.body), "changes", self._source)
        if type(following) is not int or following < since:
            raise UnexpectedResponseError(f"{self._source} answered with changes whose next is {following!r}")
        return Changes([parse_change(item, self._source) for item in found], following)

    def newest_change(self, name: str, *, deadline: float) -> int:
        """The number of the newest change of any run: a stream of events tells it before its first event."""
        query = urlencode({"wait": "0", "run": name})
        found = _NEWEST.search(bytes(self._send("GET", f"/v1/events?{query}", deadline).body))
        if found is None:
            raise UnexpectedResponseError(f"{self._source} answered with a stream of events that has no position")
        return int(found[1])

    def report_progress(
        self, name: str, worker: str, step: int, version: int | None, *, deadline: float
    ) -> ProgressReport:
        """Report a worker's position. The last report wins, so that it may be repeated."""
        body = {"worker": worker, "step": step, **({} if version is None else {"version": version})}
        return parse_report(self._object(self._send("POST", f"{_path(name)}/progress", deadline, body)), self._source)

    def progress(self, name: str, *, deadline: float) -> RunProgress:
        """The positions that workers have reported since the run was last rewound."""
        return parse_progress(self._object(self._send("GET", f"{_path(name)}/progress", deadline)), self._source)

    # -- changing -----------------------------------------------------------------------------------------------------

    def create(self, name: str, body: Mapping[str, Any], *, deadline: float) -> Run:
        """Create a run. Where it has that table already, it is a success: so the request may be repeated."""
        return self._run(self._send("PUT", _path(name), deadline, body=body, headers={"If-None-Match": "*"}))

    def move(self, run: Run, body: Mapping[str, Any], *, deadline: float) -> Run:
        """Move a run to another table, where it is still at the version of `run`."""

        def is_mine(made: Run) -> bool:
            same = made.digest == body["digest"] if "digest" in body else _same_spec(made.spec, body["spec"])
            return made.action == "move" and same and _same_reasons(made, body)

        return self._change(run, "PUT", "", body, is_mine, deadline)

    def amend(self, run: Run, amendment: Amendment, reasons: Mapping[str, Any], *, deadline: float) -> Run:
        """Amend a run, where it is still at the version of `run`."""

        def is_mine(made: Run) -> bool:
            return _same_amendment(made.amendment, amendment) and _same_reasons(made, reasons)

        body = {**_data(amendment), **reasons}
        return self._change(run, "POST", "/amendments", body, is_mine, deadline)

    def forget_progress(self, name: str, worker: str | None, *, deadline: float) -> list[str]:
        """Forget the position of a worker, or of all. To forget twice is the same, so that it may be repeated."""
        path = f"{_path(name)}/progress" + ("" if worker is None else f"/{quote(worker, safe='')}")
        found = self._object(self._send("DELETE", path, deadline)).get("forgotten")
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise UnexpectedResponseError(f"{self._source} did not answer with a list of workers")
        return found

    def dry_run(self, run: Run, amendment: Amendment, *, deadline: float, proposing: bool = False) -> DryRun:
        """What an amendment, or with `proposing` a proposal of it, would give: nothing is changed."""
        body = {**_data(amendment), "dry_run": True}
        headers = {"If-Match": run.etag}
        path = f"{_path(run.full_name)}/{'proposals' if proposing else 'amendments'}"
        response = self._send("POST", path, deadline, body, headers)
        return parse_dry_run(self._object(response), self._source)

    def rollback(self, run: Run, version: int, body: Mapping[str, Any], *, deadline: float) -> Run:
        """Give a run the table of an earlier version, as a new version."""
        earlier = self.run(run.full_name, version, deadline=deadline)

        def is_mine(made: Run) -> bool:
            return made.action == "rollback" and made.digest == earlier.digest and _same_reasons(made, body)

        return self._change(run, "POST", "/rollback", {"version": version, **body}, is_mine, deadline)

    def delete(self, run: Run, body: Mapping[str, Any], *, deadline: float) -> Run:
        """Delete a run: a last version that says so, and the run is not served any more."""

        def is_mine(made: Run) -> bool:
            return made.action == "delete" and _same_reasons(made, body)

        return self._change(run, "DELETE", "", body or None, is_mine, deadline)

    def set(self, run: Run, body: Mapping[str, Any], *, deadline: float) -> Run:
        """Lock or unlock a run, or set its labels or rules, where nothing was set since `run` was looked at.

        Where the answer to the first attempt was lost, and the run is as the body says now, it has taken effect.
        """
        headers, path = {"If-Match": run.exact_etag}, _path(run.full_name)
        try:
            return self._run(self._send("PATCH", path, deadline, body, headers))
        except RunChangedError as error:
            if error.current and _is_set(now := parse_run(error.current), body) and now.version == run.version:
                return now
            raise

    def propose(self, run: Run, amendment: Amendment, reasons: Mapping[str, Any], *, deadline: float) -> Proposal:
        """Propose an amendment. A proposal whose answer was lost is looked for, and never made a second time."""
        path = f"{_path(run.full_name)}/proposals"
        headers = {"If-Match": run.etag}
        try:
            response = self._send("POST", path, deadline, {**_data(amendment), **reasons}, headers, repeatable=False)
        except OutcomeUnknownError:
            mine = self._my_name(deadline)
            for found in reversed([*self.proposals(run.full_name, deadline=lambda: deadline)]):
                is_same = found.base_version == run.version and _same_amendment(found.amendment, amendment)
                if is_same and found.author == mine and _same_reasons(found, reasons):
                    return found
            raise
        return parse_proposal(self._object(response), self._source)

    def approve(self, name: str, number: int, *, deadline: float) -> Run:
        """Approve a proposal, which amends the run. Once it is approved, the same run is returned again."""
        path = f"{_path(name)}/proposals/{number}/approve"
        try:
            return self._run(self._send("POST", path, deadline, repeatable=False))
        except OutcomeUnknownError:
            found = self.proposal(name, number, deadline=deadline)
            if found.version is None:
                raise
            return self.run(name, found.version, deadline=deadline)

    def reject(self, name: str, number: int, body: Mapping[str, Any], *, deadline: float) -> Proposal:
        """Reject a proposal."""
        path = f"{_path(name)}/proposals/{number}/reject"
        try:
            return parse_proposal(
                self._object(self._send("POST", path, deadline, body, repeatable=False)), self._source
            )
        except OutcomeUnknownError:
            found = self.proposal(name, number, deadline=deadline)
            if found.state != "rejected":
                raise
            return found

    # -- one request --------------------------------------------------------------------------------------------------

    @property
    def _source(self) -> str:
        return self._transport.base_url

    def _change(
        self,
        run: Run,
        method: str,
        suffix: str,
        body: Mapping[str, Any] | None,
        is_mine: Callable[[Run], bool],
        deadline: float,
    ) -> Run:
        """Change a run by compare-and-set, and return it as it is then.

        An answer that was lost is looked for: is the next version mine? Where it is not there, the request is sent
        again. It has the same precondition, so at most one of both takes effect, even if the first arrives late.
        """
        path, headers = f"{_path(run.full_name)}{suffix}", {"If-Match": run.etag}
        was_lost = False
        for attempt in range(_MOST_ATTEMPTS):
            try:
                return self._run(self._send(method, path, deadline, body, headers, repeatable=False))
            except (OutcomeUnknownError, RequestRefusedError) as error:
                is_lost = isinstance(error, OutcomeUnknownError)
                was_lost = was_lost or is_lost
                if not was_lost:
                    raise
                made = self._made(run, deadline)
                if made is not None and is_mine(made) and made.author == self._my_name(deadline):
                    return _as_head(made, run, body or {})
                pause = _pause(error, attempt)
                if not is_lost or attempt == _MOST_ATTEMPTS - 1 or time.monotonic() + pause >= deadline:
                    raise
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _made(self, run: Run, deadline: float) -> Run | None:
        """The version after that of `run`; None where there is none."""
        try:
            return self.run(run.full_name, run.version + 1, deadline=deadline)
        except RunNotFoundError:
            return None

    def _my_name(self, deadline: float) -> str:
        """The author of what is done with the token that is sent: its name; empty where none is required."""
        token = self._object(self._send("GET", "/v1/token", deadline))
        return str(token.get("name", "")) if token.get("token_id") else ""

    def _pages(self, path: str, query: Mapping[str, str], member: str, deadline: Callable[[], float]) -> Iterator[Any]:
        after: dict[str, str] = {}
        while True:
            words = urlencode({**query, **after})
            response = self._send("GET", f"{path}?{words}" if words else path, deadline())
            found, following = parse_page(bytes(response.body), member, self._source)
            yield from found
            if following is None:
                return
            if after == {"after": str(following)}:
                raise UnexpectedResponseError(f"{self._source} answered twice that the next page is {following!r}")
            after = {"after": str(following)}

    def _run(self, response: Response) -> Run:
        return parse_run(self._object(response), self._source)

    def _object(self, response: Response) -> dict[str, Any]:
        return parse_object(bytes(response.body), self._source)

    def _send(
        self,
        method: str,
        path: str,
        deadline: float,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        repeatable: bool = True,
    ) -> Response:
        try:
            return self._transport.send(
                method,
                path,
                deadline=deadline,
                max_bytes=_MAX_BYTES,
                body=[] if body is None else [json.dumps(body).encode()],
                headers=headers or {},
                repeatable=repeatable,
            )
        except RequestRefusedError as error:
            known = run_error(error.url, error.status, *error.args[2:]) if type(error) is RequestRefusedError else error
            raise known from None


def _path(name: str) -> str:
    namespace, own = run_name(name)
    return f"/v1/runs/{namespace}/{own}"


def _pause(error: Exception, attempt: int) -> float:
    """Seconds until the next attempt, after those that the service asked for."""
    asked = getattr(error.__cause__, "retry_after", None) or 0.0
    return asked + full_jitter(attempt, _FIRST_PAUSE, _LONGEST_PAUSE)


def _is_set(run: Run, body: Mapping[str, Any]) -> bool:
    """Whether a run has all that a body sets."""
    return all(getattr(run, name) == body[name] for name in ("locked", "labels", "rules") if name in body)


def _as_head(made: Run, before: Run, body: Mapping[str, Any]) -> Run:
    """A version that was read back, with what only heads say: as it was before the change, or as the change gave it."""
    kept = {name: body.get(name, getattr(before, name)) for name in ("labels", "rules")}
    return replace(made, **kept, locked=before.locked, deleted=made.action == "delete", revision=0)


def amendment_of(given: Amendment | Mapping[str, Any]) -> Amendment:
    """The amendment, also of its JSON data. Raises `ScheduleError`, naming field and value, for what is none."""
    from scheduler.amendments import parse_amendment  # noqa: PLC0415  # it loads every composite, for which few wait

    return parse_amendment(given)


def _data(amendment: Amendment) -> dict[str, Any]:
    data: dict[str, Any] = amendment.model_dump(mode="json")
    return {name: value for name, value in data.items() if value is not None}


def _same_amendment(data: Mapping[str, Any] | None, amendment: Amendment) -> bool:
    try:
        return data is not None and _data(amendment_of(data)) == _data(amendment)
    except ValueError:
        return False


def _same_spec(data: Mapping[str, Any] | None, spec: Mapping[str, Any]) -> bool:
    if data is None:
        return False
    try:  # 1 and 1.0, and a default that is left out, are the same spec
        return Spec.model_validate_json(json.dumps(data)).id == Spec.model_validate_json(json.dumps(spec)).id
    except ValueError:
        return data == spec


def _same_reasons(made: Run | Proposal, body: Mapping[str, Any]) -> bool:
    return (made.reason, made.link) == (body.get("reason"), body.get("link"))
