"""The client: a schedule in, a verified table out."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from numbers import Real
from types import TracebackType
from typing import Any, Literal, Self

from typing_extensions import override

from client.cache.folders import CacheFolder, cache_bytes, cache_folder
from client.cache.node_cache import NodeCache
from client.cache.run_files import RunFiles
from client.errors import DigestMismatchError
from client.http.addresses import GivenToken
from client.http.offline import OfflineTransport, is_offline
from client.http.transport import Transport
from client.resolve import MAX_TABLE, OnUnreachable, Resolver, Source, Wanted, manifest_size, read_manifest
from client.runs.calls import RunCalls
from client.runs.documents import Run
from client.runs.methods import RunMethods, Target
from client.status import Stats, Status, stats_of, status_of
from scheduler import KINDS, Schedule, Spec, Table
from scheduler.spec import needed_length
from scheduler.table import check_table
from scheduler.table_format import MAX_HEADER, After, Axis
from scheduler.texts import abbreviate, is_digest

_MEDIA_TYPE = "application/vnd.safetensors"


class Client(RunMethods):
    """Brings tables from a service, proves that they are the right ones, and keeps them on this machine.

    Nothing is sent before the first call. A client may be shared by threads, and used on in a forked process, which
    makes connections of its own; close it, or use it in a `with` block. It runs no thread in the background. Calls
    block: from async code, hand them to a thread, `table = await asyncio.to_thread(client.fetch, schedule)`.

    Args:
        base_url: where the service is, like `http://127.0.0.1:8000`. Raises `ValueError` for anything else, and for an
            address with a name and password in it, which would be shown in errors and logs: a token is given by
            `token`. Without it, the environment variable `LRTABLES_URL`; offline neither is needed.
        timeout: seconds to wait for a connection, and for the next bytes of a response.
        deadline: seconds that a call may wait for the service in all: the look-up of the host's name, the connection,
            the body and every retry included, however slowly the service sends.
        token: for a service that asks for one, or a function that returns the current one. Without it, the environment
            variable `LRTABLES_TOKEN`, else the content of the file `LRTABLES_TOKEN_FILE`. It is shown by no repr,
            error or log, and sent to this service only. After a 401 it is read again, once a call. Raises `ValueError`
            for what no header can hold.
        cache: folder of tables that the processes of this machine share; False for none. Without it, `LRTABLES_CACHE`
            (`off` for none), else `lrtables` in the user's cache folder. It holds `LRTABLES_CACHE_BYTES`, else 2 GiB.
            See `client.cache.node_cache.NodeCache`.
        offline: open no socket. Tables come from the cache, else are computed where they are portable or have the
            digest that the call names; else the call raises `OfflineError`. Without it, whether `LRTABLES_OFFLINE`
            is `1`.
        refused_patience: seconds for which a refused connection is tried again, which a service that restarts needs.
            Without it, 20 until the service has answered this client once, then 45; 2 where a table can be computed
            without the service. The same holds for a host's name that is not known, until the service has answered.
        compute: whether a table may be computed here instead of being received. Without it, that happens only where
            a call says `on_unreachable="compute"`.

    Every call raises a `ClientError`: `ServiceUnreachableError`, `OfflineError`, `DeadlineExceededError`,
    `RequestRefusedError`, `UnexpectedResponseError` or `DigestMismatchError` (see `client.errors`).
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        timeout: float = 10.0,
        deadline: float = 60.0,
        token: GivenToken = None,
        cache: CacheFolder = None,
        offline: bool | None = None,
        refused_patience: float | None = None,
        compute: bool = True,
    ) -> None:
        given = {"timeout": timeout, "deadline": deadline, "refused_patience": refused_patience}
        for name, seconds in given.items():
            if name == "refused_patience" and seconds is None:
                continue
            if not isinstance(seconds, Real) or not seconds > 0:
                raise ValueError(f"{name} must be a positive number of seconds, got {seconds!r}")
        base_url = os.environ.get("LRTABLES_URL") or None if base_url is None else base_url
        if is_offline(offline):
            self._transport: Transport = OfflineTransport(base_url)
        else:
            self._transport = Transport(base_url, timeout=timeout, token=token, refused_patience=refused_patience)
        folder = cache_folder(cache)
        self._cache = None if folder is None else NodeCache(folder, cache_bytes())
        self._resolver = Resolver(self._transport, self._cache, compute=compute)
        self._calls = RunCalls(self._transport)
        self._run_files = None if folder is None else RunFiles(folder)
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
        digest: str | None = None,
        verify: Literal["boundaries", "full"] = "boundaries",
        on_unreachable: OnUnreachable = None,
    ) -> Table:
        """The table of a schedule, verified. It comes the cheapest way, and is the same whichever that is.

        1. From the cache, without a request, where its digest is known: given here, or named by the service before.
        2. Computed here, and taken only where it has the digest that the service names: a request of about 1 kB. Kinds
           that are portable always are; twins of other libraries where lrtables and the C library are the service's.
        3. Received from the service. The response must repeat the spec that was sent, and the table must have its
           layout, digest and values. Up to 262,144 rows (fewer where a spec has many schedules) are computed here again
           completely. Of a larger table some dozen rows are: around the boundaries of the schedule, and at random.
           Portable kinds are compared bit for bit; twins to a few ULP, since the C libraries of two machines may
           differ in the last bit. Values that a `Literal` takes from a table named by its digest are compared with
           `verify="full"` only, which fetches that table too.

        Args:
            schedule: a schedule, a sequence with one per parameter group, or a spec.
            total_steps: rows of the table. Without it, the length that the schedule states.
            axis: what the rows count: step, epoch, sample or token.
            stride: units of progress per row.
            after: past the last row, `hold` its values, raise an `error`, or `release` the rate to another scheduler.
            digest: that the table must have, 64 hexadecimal digits, such as that of a checkpoint. Raises
                `DigestMismatchError` where the schedule gives another.
            verify: `boundaries` as above; `full` reads a cached file completely, and computes every row of every table
                here again.
            on_unreachable: where no service answers, `compute` the table here or raise an `error`. Without it, portable
                kinds are computed, within seconds where connections are refused, and a `scheduler.ScheduleWarning`
                says the digest; for others it is an error. A table with a pinned `digest` needs no service to
                confirm it.

        A request that contradicts itself raises `ValueError` before anything is sent. An unusual one, such as a warmup
        as long as the training, gives a `scheduler.ScheduleWarning`.
        """
        if verify not in ("boundaries", "full"):
            raise ValueError(f"verify must be 'boundaries' or 'full', got {verify!r}")
        if on_unreachable not in ("compute", "error", None):
            raise ValueError(f"on_unreachable must be 'compute', 'error' or None, got {on_unreachable!r}")
        if digest is not None:
            _check_digest(digest)
        spec = _spec(schedule, total_steps, axis=axis, stride=stride, after=after)
        spec.warn(stacklevel=2)
        wanted = Wanted(spec, digest, verify == "full", on_unreachable)
        return self._resolver.fetch(wanted, self._deadline_of_call())

    def get(self, digest: str | Run, *, max_bytes: int = MAX_TABLE) -> Table:
        """The table with this digest (64 hexadecimal digits), for instance the one that a checkpoint names.

        It comes from the cache, else from the service. That of a run is computed here where its spec gives its digest.

        Args:
            digest: of the table, or a run, which names one. It proves layout and values, wherever they come from.
            max_bytes: the largest file that is taken: 256 MiB, which is 33 million values, without it.

        Raises `ValueError` for what is not a digest, `RequestRefusedError` (404) where the service has no such table.
        """
        spec = _spec_of(digest) if isinstance(digest, Run) else None
        digest = digest.digest if isinstance(digest, Run) else digest
        _check_digest(digest)
        return self._resolver.get(digest, self._deadline_of_call(), max_bytes, spec)

    def publish(self, table: Table) -> str:
        """Store a table at the service by its values, for instance one captured from a live scheduler.

        Returns its digest, by which `get` fetches it, once the service has stored it. Publishing a table that the
        service already has changes nothing.
        """
        check_table(table)
        path = f"/v1/tables/{table.digest}"
        response = self._transport.request(
            "PUT",
            path,
            deadline=self._deadline_of_call(),
            max_bytes=manifest_size(MAX_HEADER, len(table.columns)),  # it may also hold what other clients claimed
            body=table.parts(claims=True),
            media_type=_MEDIA_TYPE,
        )
        digest: str = read_manifest(response, self._transport.base_url)["digest"]
        if digest != table.digest:
            raise DigestMismatchError(f"the service stored table {digest} instead of {table.digest}")
        self._resolver.keep(table)
        return digest

    def status(self, *, seconds: float = 5.0) -> Status:
        """Ask the service whether it is there, its version, and what the token allows, for at most so many seconds.

        An error is told in the result, not raised.
        """
        return status_of(self._transport, seconds)

    def stats(self) -> Stats:
        """Requests, bytes, the ways by which tables came, and how the cache fared, since the client was made."""
        return stats_of(self._transport, self._resolver, self._cache)

    @property
    def last_source(self) -> Source | None:
        """How the last table came, of whichever thread: `cache`, `computed`, `received`, or `unconfirmed`."""
        return self._resolver.last_source

    def close(self) -> None:
        """Close the idle connections. Tables stay readable; closing twice, or calling again, does no harm."""
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
            _check_digest(digest)
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
                max_bytes=manifest_size(len(body), columns),
                body=[body],
            )
            if read_manifest(response, self._transport.base_url)["digest"] == table.digest:
                return table.digest
        return self.publish(table)


def _check_digest(digest: object) -> None:
    if not is_digest(digest):
        raise ValueError(f"digest must be 64 hexadecimal digits, got {abbreviate(digest)}")


def _spec_of(run: Run) -> Spec | None:
    """The spec of a run; None where it has none, or one of a kind that this version does not know."""
    try:
        return None if run.spec is None else Spec.model_validate_json(json.dumps(run.spec))
    except ValueError:
        return None


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
        given = schedule if isinstance(schedule, Schedule) else tuple(schedules)
        return Spec(schedule=given, total_steps=needed_length(schedules, total_steps), **layout)
    if total_steps is not None or layout != {"axis": "step", "stride": 1, "after": "hold"}:
        raise ValueError("a spec already says its total_steps, axis, stride and after: give them there")
    return schedule
