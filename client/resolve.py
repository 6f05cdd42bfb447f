"""The cheapest way to a table: the cache, else computing it here, else its bytes. All three give the same bytes.

Measured for 1 million steps of `custom.WarmupWithDecay` (8 MB; benchmarks/client_start.py, client_fetch.py and
transfer.py): from the cache in 0.12 ms and without a request; computed and hashed in 5 ms after an exchange of 2 kB;
received, verified and cached in 16 ms from a server on the same machine, where a network of 1 Gbit/s alone takes 64 ms.
So a table is computed wherever its digest can be met: portable kinds have the same bits everywhere, and a twin of a
library has where the C library and lrtables are the service's. The digest decides; where it is missed, the bytes are
fetched.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from typing import Any, Literal, NamedTuple

import numpy as np

from client.cache.node_cache import NodeCache
from client.errors import (
    ClientError,
    DeadlineExceededError,
    DigestMismatchError,
    OfflineError,
    ServiceUnreachableError,
    UnexpectedResponseError,
)
from client.http.responses import Download
from client.http.transport import Transport
from client.verification import check_manifest, check_table, is_portable
from scheduler import ScheduleWarning, Spec, Table, TableError
from scheduler.named_tables import UnresolvedError, named_digests, resolved
from scheduler.provenance import provenance
from scheduler.table_format import LENGTH, MAX_HEADER
from scheduler.texts import is_digest, json_object

MAX_TABLE = 2**28
"""Bytes of the largest table that is fetched by its digest, where no other limit is given."""
SHORT_PATIENCE = 2.0
"""Seconds for which a refused connection is tried again where the table can be computed instead."""

Source = Literal["cache", "computed", "received", "unconfirmed"]
"""How a table was obtained. `unconfirmed`: computed here, and no service has named its digest."""
OnUnreachable = Literal["compute", "error"] | None
"""What a fetch does where no service answers; None to compute portable kinds, and fail for others."""

_MANIFEST, _MANIFEST_COLUMN = 2**16, 2**9  # bytes of a manifest, and of what it says of a column, beside its spec
_SPELLINGS = 4  # another spelling of the same JSON may be this many times as long as ours
_UNREACHABLE = (ServiceUnreachableError, DeadlineExceededError, OfflineError)
_ALIKE = ("lrtables", "libm")  # versions that decide a twin's last bits


class Wanted(NamedTuple):
    """What a fetch asks for.

    Args:
        spec: of the table.
        digest: that the table must have; None where the service says it.
        full: whether every row is computed here again.
        on_unreachable: what to do where no service answers.
    """

    spec: Spec
    digest: str | None
    full: bool
    on_unreachable: OnUnreachable


class Resolver:
    """Finds tables: in the cache, by computing, or at the service.

    Args:
        transport: to the service.
        cache: None for no cache.
        compute: whether a table may be computed here instead of received, and where no service answers.
    """

    def __init__(self, transport: Transport, cache: NodeCache | None, *, compute: bool = True) -> None:
        self._transport = transport
        self._cache = cache
        self._compute = compute
        self.sources: Counter[Source] = Counter()
        """How many tables were obtained in each way."""
        self.last_source: Source | None = None
        """How the last one was obtained."""

    # -- by spec ------------------------------------------------------------------------------------------------------

    def fetch(self, wanted: Wanted, deadline: float) -> Table:
        """The table of a spec: see `client.Client.fetch`."""
        key = self._key(wanted.spec)
        confirmed = self._remembered(key)
        known = wanted.digest or confirmed
        table = None if known is None else self._without_request(wanted, known, deadline, known == confirmed)
        if table is None:
            try:
                manifest = self._manifest(wanted, deadline)
            except _UNREACHABLE as error:
                return self._alone(wanted, error)
            table = self._of_service(wanted, manifest, deadline)
            if self._may_remember(wanted.spec):
                self._remember(key, table.digest)
        table.spec = wanted.spec
        return table

    def _without_request(self, wanted: Wanted, digest: str, deadline: float, is_confirmed: bool) -> Table | None:
        """The table of a spec whose digest is known, where it is cached or can be computed.

        A confirmed digest was remembered when the service had named it and the table had been compared with the spec:
        in every row where the kinds are portable.
        """
        spec, is_pinned = wanted.spec, wanted.digest is not None
        table = self._cached(digest, verify=wanted.full)
        if table is not None and (is_pinned or table.layout == spec.layout):
            if wanted.full or not is_confirmed or table.layout != spec.layout:
                self._check(table, wanted, deadline)
            return self._found(table, "cache")
        if not (self._compute and (is_pinned or is_portable_spec(spec))):
            return None
        computed = self._computed(spec)
        if computed is not None and computed.digest == digest:
            return self._kept(computed, "computed")
        if computed is not None and is_pinned and is_portable_spec(spec):
            raise DigestMismatchError(f"table {digest} is not that of the spec, which gives {computed.digest}")
        return None

    def _manifest(self, wanted: Wanted, deadline: float) -> dict[str, Any]:
        """The service's manifest of the table of a spec, which it has or computes."""
        spec = wanted.spec
        body = spec.canonical().encode()
        response = self._transport.send(
            "POST",
            "/v1/tables",
            deadline=deadline,
            max_bytes=manifest_size(len(body), len(spec.layout.columns)),
            body=[body],
            refused_patience=SHORT_PATIENCE if self._may_compute_alone(wanted) else None,
        )
        manifest = read_manifest(response.body, self._transport.base_url)
        check_manifest(manifest, spec)
        return manifest

    def _of_service(self, wanted: Wanted, manifest: dict[str, Any], deadline: float) -> Table:
        """The table that a manifest names."""
        spec, digest = wanted.spec, manifest["digest"]
        if wanted.digest is not None and digest != wanted.digest:
            raise DigestMismatchError(f"the service says that the table of the spec is {digest}, not {wanted.digest}")
        is_same = is_portable_spec(spec)
        if self._compute and is_same and (computed := self._computed(spec)) is not None:
            if computed.digest != digest:
                raise DigestMismatchError(
                    f"the service names table {digest}, which is not that of the spec: computed here it is "
                    f"{computed.digest}, and its kinds give the same bits on every machine"
                )
            return self._kept(computed, "computed")
        table = self._cached(digest, verify=wanted.full)
        if table is not None:
            self._check(table, wanted, deadline, every_row=self._may_remember(spec) and is_same)
            return self._found(table, "cache")
        if self._compute and _is_alike(manifest.get("provenance")):
            computed = self._computed(spec)
            if computed is not None and computed.digest == digest:
                return self._kept(computed, "computed")
        table = self._received(digest, deadline, LENGTH.size + MAX_HEADER + spec.layout.nbytes)
        self._check(table, wanted, deadline, every_row=self._may_remember(spec) and is_same)
        return self._kept(table, "received")

    def _check(self, table: Table, wanted: Wanted, deadline: float, *, every_row: bool = False) -> None:
        """Compare the rows of a table whose digest only the service has named: some, or every row."""
        named = named_digests(wanted.spec.every_schedule()) if wanted.full else ()
        with resolved({digest: self._table(digest, deadline, MAX_TABLE) for digest in named}):
            check_table(table, wanted.spec, every_row=wanted.full or every_row)

    def _may_compute_alone(self, wanted: Wanted) -> bool:
        """Whether a table that no service has named may be computed. One with a pinned digest never is."""
        by_default = self._compute and is_portable_spec(wanted.spec)
        may = wanted.on_unreachable == "compute" or (wanted.on_unreachable is None and by_default)
        return may and wanted.digest is None

    def _alone(self, wanted: Wanted, error: ClientError) -> Table:
        """The table as it is computed here, where no service answers; else the error."""
        spec, is_offline = wanted.spec, isinstance(error, OfflineError)
        computed = self._computed(spec) if self._may_compute_alone(wanted) else None
        if computed is None:
            is_same = is_portable_spec(spec)
            reason = "it names tables that are not cached" if is_same else "its kinds give other bits on other machines"
            what = f"the table {wanted.digest}" if wanted.digest else f"the digest of spec {spec.id}"
            if is_offline:
                raise self._offline(what, reason) from error
            raise error
        if not is_offline:
            warnings.warn(
                f"{self._transport.base_url} cannot be reached ({error}); the table was computed here, and no "
                f"service has confirmed its digest {computed.digest}",
                ScheduleWarning,
                stacklevel=4,
            )
        table = self._kept(computed, "unconfirmed")
        table.spec = spec
        return table

    # -- by digest ----------------------------------------------------------------------------------------------------

    def get(self, digest: str, deadline: float, max_bytes: int, spec: Spec | None = None) -> Table:
        """The table with a digest: cached, computed from the spec where one is given and gives it, else received."""
        table = self._cached(digest)
        if table is not None:
            return self._found(table, "cache")
        may_compute = spec is not None and self._compute and spec.layout.nbytes <= max_bytes
        computed = self._computed(spec) if spec is not None and may_compute else None
        if computed is not None and computed.digest == digest:
            return self._kept(computed, "computed")
        try:
            return self._kept(self._received(digest, deadline, max_bytes), "received")
        except OfflineError as error:
            raise self._offline(f"the table {digest}", "its spec is not known or does not give it") from error

    def keep(self, table: Table) -> None:
        """Put a table into the cache whose digest the service has confirmed."""
        if self._cache is not None:
            self._cache.keep(table)

    def _table(self, digest: str, deadline: float, max_bytes: int) -> Table:
        cached = self._cached(digest)
        return self._received(digest, deadline, max_bytes) if cached is None else cached

    def _received(self, digest: str, deadline: float, max_bytes: int) -> Table:
        """The table whose bytes the service sends. Wrong ones are asked for once more, on a new connection."""
        try:
            return self._sent(digest, deadline, max_bytes)
        except DigestMismatchError:  # a bit that turned on the way, as a rule
            self._transport.close()
            return self._sent(digest, deadline, max_bytes)

    def _sent(self, digest: str, deadline: float, max_bytes: int) -> Table:
        """The table in a response. It is received into the memory that the table keeps."""
        path = f"/v1/tables/{digest}.safetensors"
        download = Download(lambda nbytes: np.empty(nbytes, dtype=np.uint8).data)
        response = self._transport.send("GET", path, deadline=deadline, max_bytes=max_bytes, download=download)
        try:
            table = Table.from_bytes(memoryview(response.body).toreadonly())  # the buffer is not written to again
        except TableError as error:
            raise DigestMismatchError(f"what the service sent is not table {digest}: {error}") from error
        if table.digest != digest:
            raise DigestMismatchError(f"the service sent table {table.digest} instead of {digest}")
        return table

    # -- here ---------------------------------------------------------------------------------------------------------

    def _computed(self, spec: Spec) -> Table | None:
        """The table as it is computed here; None where the spec names tables that are not in the cache."""
        named = {digest: self._cached(digest) for digest in named_digests(spec.every_schedule())}
        tables = {digest: table for digest, table in named.items() if table is not None}
        if len(tables) < len(named):
            return None
        try:
            with resolved(tables):
                return Table.compute(spec)
        except UnresolvedError:  # a column that the named table lacks, for the service to refuse
            return None

    def _cached(self, digest: str, *, verify: bool = False) -> Table | None:
        return None if self._cache is None else self._cache.open(digest, verify=verify)

    def _kept(self, table: Table, source: Source) -> Table:
        return self._found(table if self._cache is None else self._cache.keep(table), source)

    def _found(self, table: Table, source: Source) -> Table:
        self.sources[source] += 1
        self.last_source = source
        return table

    def _key(self, spec: Spec) -> str:
        """The name under which a spec's digest is remembered. Services may differ in a twin's last bit."""
        if is_portable_spec(spec):
            return spec.id
        return f"{spec.id}.{hashlib.sha256(self._transport.base_url.encode()).hexdigest()[:16]}"

    def _may_remember(self, spec: Spec) -> bool:
        """Whether the digest of a spec's table may be remembered, once that was compared.

        What is remembered of a portable spec holds for every service, so every row must have been compared. Those that
        come from a named table are compared only where that is at hand.
        """
        return not is_portable_spec(spec) or not named_digests(spec.every_schedule())

    def _remembered(self, key: str) -> str | None:
        return None if self._cache is None else self._cache.known_digest(key)

    def _remember(self, key: str, digest: str) -> None:
        if self._cache is not None:
            self._cache.remember(key, digest)

    def _offline(self, what: str, reason: str) -> OfflineError:
        place = "there is no cache" if self._cache is None else f"it is not in the cache {self._cache.folder}"
        return OfflineError(
            f"offline: {what} was looked for: {place}, and it cannot be computed here, because {reason}. Fetch it once "
            "where there is a network, or import a bundle"
        )


def is_portable_spec(spec: Spec) -> bool:
    """Return whether the table of a spec has the same bits on every machine."""
    return all(map(is_portable, spec.every_schedule()))


def _is_alike(theirs: object) -> bool:
    """Whether a table was computed by versions that give a twin the same bits as those here."""
    mine = provenance()
    return isinstance(theirs, dict) and all(theirs.get(name) == mine[name] for name in _ALIKE)


def manifest_size(spec_bytes: int, columns: int) -> int:
    """The largest manifest, in bytes, that is accepted for a spec of this size and number of columns."""
    return _MANIFEST + _SPELLINGS * spec_bytes + _MANIFEST_COLUMN * columns


def read_manifest(response: bytearray | memoryview, base_url: str) -> dict[str, Any]:
    """The manifest in a response, checked to be a JSON object that names a digest."""
    manifest = json_object(response) or {}
    if not is_digest(manifest.get("digest")):
        raise UnexpectedResponseError(
            f"{base_url} did not answer with a table's manifest, but with {bytes(response[:80])!r}"
        )
    return manifest
