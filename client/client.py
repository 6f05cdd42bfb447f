"""The client: a schedule in, a verified table out."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from numbers import Real
from types import TracebackType
from typing import Any, Literal, Self

from typing_extensions import override

from client.errors import DigestMismatchError, UnexpectedResponseError
from client.http.transport import Transport
from client.runs.calls import RunCalls
from client.runs.documents import Run
from client.runs.methods import RunMethods, Target
from client.verification import check_manifest, check_table
from scheduler import KINDS, Schedule, Spec, Table, TableError
from scheduler.named_tables import named_digests, resolved
from scheduler.table_format import LENGTH, MAX_HEADER, After, Axis
from scheduler.texts import abbreviate, is_digest

MAX_TABLE = 2**28
"""Bytes of the largest table that is fetched by its digest, where no other limit is given."""

_MANIFEST, _MANIFEST_COLUMN = 2**16, 2**9  # bytes of a manifest, and of what it says of a column, beside its spec
_SPELLINGS = 4  # another spelling of the same JSON may be this many times as long as ours
_MEDIA_TYPE = "application/vnd.safetensors"


class Client(RunMethods):
    """Fetches tables from a service and proves that they are the right ones.

    Nothing is sent before the first call. A client may be shared by threads, and used on in a forked process, which
    makes connections of its own; close it, or use it in a `with` block.

    Args:
        base_url: where the service is, like `http://127.0.0.1:8000`. Raises `ValueError` for anything else, and for an
            address with a name and password in it, which would be shown in errors and logs: a token is given by
            `token`.
        timeout: seconds to wait for a connection, and for the next bytes of a response.
        deadline: seconds that a call may take in all: the look-up of the host's name, the connection, the body and
            every retry included, however slowly the service sends.
        token: for a service that asks for one; without it, the environment variable `LRTABLES_TOKEN`. It is shown by
            no repr, error or log, and sent to this service only. Raises `ValueError` for what no header can hold.

    Every call raises a `ClientError`: `ServiceUnreachableError`, `DeadlineExceededError`, `RequestRefusedError`,
    `UnexpectedResponseError` or `DigestMismatchError` (see `client.errors`).
    """

    def __init__(
        self, base_url: str, *, timeout: float = 10.0, deadline: float = 60.0, token: str | None = None
    ) -> None:
        for name, seconds in {"timeout": timeout, "deadline": deadline}.items():
            if not isinstance(seconds, Real) or not seconds > 0:
                raise ValueError(f"{name} must be a positive number of seconds, got {seconds!r}")
        self._transport = Transport(base_url, timeout=timeout, token=token)
        self._calls = RunCalls(self._transport)
        self._timeout = timeout
        self._deadline = deadline

    def fetch(
        self,
        schedule: Schedule | Sequence[Schedule] | Spec,
        total_steps: int | None = None,
        *,
        axis: Axis = "step",
        stride: int = 1,
        after: After = "hold",
        verify: Literal["boundaries", "full"] = "boundaries",
    ) -> Table:
        """Fetch the table of a schedule, which the service has or computes, and verify it.

        The response must repeat the spec that was sent, and the table must have its layout, digest and values. A table
        of up to 262,144 rows (fewer where a spec has many schedules) is computed here again completely. Of a larger
        one, some dozen rows are: around the boundaries of the schedule, and at random. Portable
        kinds are compared bit for bit; twins of other libraries to a few ULP, since the C libraries of two machines may
        differ in the last bit. Values that a `Literal` takes from a table named by its digest are compared with
        `verify="full"` only, which fetches that table too.

        Args:
            schedule: a schedule, a sequence with one per parameter group, or a spec.
            total_steps: rows of the table. May be left out where the schedule has an end of its own.
            axis: what the rows count: step, epoch, sample or token.
            stride: units of progress per row.
            after: past the last row, `hold` its values, raise an `error`, or `release` the rate to another scheduler.
            verify: `boundaries` as above; `full` computes every row of every table here again.

        A request that contradicts itself raises `ValueError` before anything is sent. An unusual one, such as a warmup
        as long as the training, gives a `scheduler.ScheduleWarning`.
        """
        if verify not in ("boundaries", "full"):
            raise ValueError(f"verify must be 'boundaries' or 'full', got {verify!r}")
        spec = _spec(schedule, total_steps, axis=axis, stride=stride, after=after)
        spec.warn(stacklevel=2)
        deadline, body, layout = self._deadline_of_call(), spec.canonical().encode(), spec.layout
        response = self._transport.request(
            "POST",
            "/v1/tables",
            deadline=deadline,
            max_bytes=_manifest_size(len(body), len(layout.columns)),
            body=[body],
        )
        manifest = _manifest(response, self._transport.base_url)
        check_manifest(manifest, spec)
        table = self._table(manifest["digest"], deadline, LENGTH.size + MAX_HEADER + layout.nbytes)
        is_full = verify == "full"
        named = named_digests(spec.every_schedule()) if is_full else ()
        with resolved({digest: self._table(digest, deadline, MAX_TABLE) for digest in named}):
            check_table(table, spec, every_row=is_full)
        table.spec = spec
        return table

    def get(self, digest: str | Run, *, max_bytes: int = MAX_TABLE) -> Table:
        """The table with this digest (64 hexadecimal digits), for instance the one that a checkpoint names.

        Args:
            digest: of the table, or a run, which names one. It proves layout and values, wherever they come from.
            max_bytes: the largest file that is taken: 256 MiB, which is 33 million values, without it.

        Raises `ValueError` for what is not a digest, `RequestRefusedError` (404) where the service has no such table.
        """
        digest = digest.digest if isinstance(digest, Run) else digest
        if not is_digest(digest):
            raise ValueError(f"digest must be 64 hexadecimal digits, got {abbreviate(digest)}")
        return self._table(digest, self._deadline_of_call(), max_bytes)

    def publish(self, table: Table) -> str:
        """Store a table at the service by its values, for instance one captured from a live scheduler.

        Returns its digest, by which `get` fetches it, once the service has stored it. Publishing a table that the
        service already has changes nothing.
        """
        if not isinstance(table, Table):
            raise TypeError(f"table must be a Table, got {abbreviate(table)}")
        path = f"/v1/tables/{table.digest}"
        response = self._transport.request(
            "PUT",
            path,
            deadline=self._deadline_of_call(),
            max_bytes=_manifest_size(MAX_HEADER, len(table.columns)),  # it may also hold what other clients claimed
            body=table.parts(claims=True),
            media_type=_MEDIA_TYPE,
        )
        digest: str = _manifest(response, self._transport.base_url)["digest"]
        if digest != table.digest:
            raise DigestMismatchError(f"the service stored table {digest} instead of {table.digest}")
        return digest

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._transport.base_url!r})"

    @override
    def _deadline_of_call(self) -> float:
        return time.monotonic() + self._deadline

    @override
    def _target(self, target: Target, total_steps: int | None) -> dict[str, Any]:
        if isinstance(target, (Run, Table, str)):
            if total_steps is not None:
                raise ValueError(f"total_steps is that of the table, got {total_steps}")
            if isinstance(target, Table):
                return {"digest": self._stored(target)}
            digest = target.digest if isinstance(target, Run) else target
            if not is_digest(digest):
                raise ValueError(f"digest must be 64 hexadecimal digits, got {abbreviate(digest)}")
            return {"digest": digest}
        spec = _spec(target, total_steps, axis="step", stride=1, after="hold")
        return {"spec": json.loads(spec.canonical())}

    def _stored(self, table: Table) -> str:
        """The digest of a table that the service has: computed there from its spec, where that gives the same."""
        spec: Spec | None = table.spec
        if spec is not None:
            body, columns = spec.canonical().encode(), len(table.columns)
            response = self._transport.request(
                "POST",
                "/v1/tables",
                deadline=self._deadline_of_call(),
                max_bytes=_manifest_size(len(body), columns),
                body=[body],
            )
            if _manifest(response, self._transport.base_url)["digest"] == table.digest:
                return table.digest
        return self.publish(table)

    def _table(self, digest: str, deadline: float, max_bytes: int) -> Table:
        path = f"/v1/tables/{digest}.safetensors"
        content = self._transport.request("GET", path, deadline=deadline, max_bytes=max_bytes)
        try:
            table = Table.from_bytes(memoryview(content).toreadonly())  # the buffer is not written to again
        except TableError as error:
            raise DigestMismatchError(f"what the service sent is not table {digest}: {error}") from error
        if table.digest != digest:
            raise DigestMismatchError(f"the service sent table {table.digest} instead of {digest}")
        return table


def _spec(schedule: Schedule | Sequence[Schedule] | Spec, total_steps: int | None, **layout: Any) -> Spec:
    if not isinstance(schedule, Spec):
        schedules = [schedule] if isinstance(schedule, Schedule) else schedule
        if not isinstance(schedules, Sequence) or not all(isinstance(each, Schedule) for each in schedules):
            raise TypeError(f"schedule must be a schedule, a sequence of them, or a Spec, got {abbreviate(schedule)}")
        for kind in (each.kind for each in schedules if each.kind not in KINDS):
            raise ValueError(
                f"{kind} is a kind of your own, which no service can compute: publish(schedule.table(total_steps)) "
                "keeps its table there, and get(digest) fetches it"
            )
        steps = _own_length(schedules) if total_steps is None else total_steps
        return Spec(
            schedule=schedule if isinstance(schedule, Schedule) else tuple(schedules), total_steps=steps, **layout
        )
    if total_steps is not None or layout != {"axis": "step", "stride": 1, "after": "hold"}:
        raise ValueError("a spec already says its total_steps, axis, stride and after: give them there")
    return schedule


def _own_length(schedules: Sequence[Schedule]) -> int:
    """The end that all of the schedules share. Raises `ValueError` where they have none, or different ones."""
    ends = {each.end for each in schedules}
    end = ends.pop() if len(ends) == 1 else None
    if end is None:
        raise ValueError(f"total_steps is needed: {', '.join(each.kind for each in schedules)} has no end of its own")
    return end


def _manifest_size(spec_bytes: int, columns: int) -> int:
    """The largest manifest, in bytes, that is accepted for a spec of this size and number of columns."""
    return _MANIFEST + _SPELLINGS * spec_bytes + _MANIFEST_COLUMN * columns


def _manifest(response: bytearray | memoryview, base_url: str) -> dict[str, Any]:
    """The manifest in a response, checked to be a JSON object that names a digest."""
    try:
        found = json.loads(bytes(response))
    except (ValueError, RecursionError):
        found = None
    manifest: dict[str, Any] = found if isinstance(found, dict) else {}
    digest = manifest.get("digest")
    if not is_digest(digest):
        raise UnexpectedResponseError(
            f"{base_url} did not answer with a table's manifest, but with {bytes(response[:80])!r}"
        )
    return manifest
