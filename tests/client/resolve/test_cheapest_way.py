"""The cheapest way to a table: which way is taken, what it costs, and that all give the same bytes."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from client import Client, DigestMismatchError
from client.cache.folders import DEFAULT_BYTES
from client.cache.node_cache import NodeCache
from scheduler import Spec, Table
from scheduler.builtin import CosineAnnealingLR
from scheduler.compose import Literal
from scheduler.custom import WarmupWithDecay
from scheduler.provenance import provenance
from tests.support.client.table_files import manifest_of

if TYPE_CHECKING:
    from tests.client.conftest import Response, ScriptedServer, Seen

PORTABLE = Spec(schedule=WarmupWithDecay(5e-4, 100, 1000, min_lr=1e-6), total_steps=1000)
TWIN = Spec(schedule=CosineAnnealingLR(0.1, 1000), total_steps=1000)


def serve(scripted: ScriptedServer, response: type[Response], table: Table, manifest: dict[str, Any]) -> None:
    """Answer with this manifest, and with the bytes of this table."""

    def script(seen: Seen) -> Response:
        return response(body=json.dumps(manifest).encode() if seen.method == "POST" else table.to_bytes())

    scripted.script = script


def served(scripted: ScriptedServer, response: type[Response], spec: Spec, **more: Any) -> Table:
    """Serve the right table of a spec, and return it."""
    table = Table.compute(spec)
    serve(scripted, response, table, {**manifest_of(spec, table.digest), **more})
    return table


def methods(scripted: ScriptedServer) -> list[str]:
    return [seen.method for seen in scripted.seen]


@pytest.mark.parametrize("spec", [PORTABLE, TWIN], ids=["portable", "twin"])
def test_every_way_gives_the_same_bytes(service_url: str, tmp_path: Path, spec: Spec) -> None:
    """Received, computed and cached tables are equal byte for byte, and each way is reported."""
    with Client(service_url, compute=False) as receiving, Client(service_url, cache=tmp_path) as client:
        received = receiving.fetch(spec)
        computed = client.fetch(spec)
        cached = client.fetch(spec)
        assert received.to_bytes() == computed.to_bytes() == cached.to_bytes()
        assert (receiving.last_source, client.last_source) == ("received", "cache")
        assert (client.stats().computed, client.stats().from_cache, client.stats().requests) == (1, 1, 1)
        assert (receiving.stats().received, receiving.stats().requests) == (1, 2)
        assert receiving.stats().received_bytes > spec.layout.nbytes > client.stats().received_bytes


def test_a_table_that_is_computed_costs_a_manifest(
    scripted: ScriptedServer, response: type[Response], tmp_path: Path
) -> None:
    """A portable spec is one POST; the next client on the machine, of another process, sends nothing."""
    table = served(scripted, response, PORTABLE)
    with Client(scripted.url, cache=tmp_path) as client:
        assert client.fetch(PORTABLE) == table
        assert client.last_source == "computed"
    with Client(scripted.url, cache=tmp_path) as client:
        again = client.fetch(PORTABLE)
        assert (again, again.spec, client.last_source) == (table, PORTABLE, "cache")
        assert client.get(table.digest) == table
        assert client.fetch(PORTABLE, verify="full") == table
    assert methods(scripted) == ["POST"]


def test_a_known_digest_needs_no_request_to_compute(
    scripted: ScriptedServer, response: type[Response], tmp_path: Path
) -> None:
    """Where the table has left the cache but its digest is known, a portable table is computed and compared here."""
    table = served(scripted, response, PORTABLE)
    with Client(scripted.url, cache=tmp_path) as client:
        client.fetch(PORTABLE)
        NodeCache(tmp_path, DEFAULT_BYTES).prune(0)
        assert client.fetch(PORTABLE) == table
        assert client.stats().computed == 2
    assert methods(scripted) == ["POST"]


def test_a_twin_is_computed_where_the_libraries_are_the_same(
    scripted: ScriptedServer, response: type[Response]
) -> None:
    """A twin is computed where lrtables and the C library are the service's, and received where they are not."""
    mine = dict(provenance())
    for theirs, expected in [(mine, "computed"), ({**mine, "libm": "other"}, "received"), (None, "received")]:
        table = served(scripted, response, TWIN, provenance=theirs)
        with Client(scripted.url) as client:
            assert client.fetch(TWIN) == table
            assert client.last_source == expected


def test_a_twin_that_computes_otherwise_is_received(scripted: ScriptedServer, response: type[Response]) -> None:
    """Only the digest decides: where this machine misses it by a bit, the service's bytes are taken."""
    columns = {name: values.copy() for name, values in Table.compute(TWIN).columns.items()}
    columns["lr"][500] *= 1 + 2**-52
    table = Table(columns)
    serve(scripted, response, table, {**manifest_of(TWIN, table.digest), "provenance": dict(provenance())})
    with Client(scripted.url) as client:
        assert client.fetch(TWIN) == table
        assert client.last_source == "received"


def test_a_wrong_digest_of_a_portable_spec_is_refused(
    scripted: ScriptedServer, response: type[Response], tmp_path: Path
) -> None:
    """A service that names another table is found out, computing or receiving, and nothing of it is remembered."""
    other = Table.compute(Spec(schedule=WarmupWithDecay(5e-4, 100, 1000), total_steps=1000))
    serve(scripted, response, other, manifest_of(PORTABLE, other.digest))
    for compute, message in [(True, "computed here it is"), (False, r"lr of row \d+ is")]:
        with Client(scripted.url, cache=tmp_path, compute=compute) as client:
            for _ in range(2):
                with pytest.raises(DigestMismatchError, match=f"is not that of the spec: {message}"):
                    client.fetch(PORTABLE)
    assert not (tmp_path / "specs").exists()
    assert not (tmp_path / "tables").exists()


@pytest.mark.parametrize("compute", [True, False], ids=["computing", "receiving"])
def test_one_wrong_row_of_a_portable_table_is_found(
    scripted: ScriptedServer, response: type[Response], tmp_path: Path, compute: bool
) -> None:
    """Of a long portable table each row is compared, for its digest would be remembered for every service."""
    spec = Spec(schedule=WarmupWithDecay(5e-4, 100, 600_000, min_lr=1e-6), total_steps=600_000)
    values = Table.compute(spec).lr.copy()
    values[345_678] *= 1.5
    wrong = Table({"lr": values})
    serve(scripted, response, wrong, manifest_of(spec, wrong.digest))
    with Client(scripted.url, cache=tmp_path, compute=compute) as client:
        with pytest.raises(DigestMismatchError, match="is not that of the spec"):
            client.fetch(spec)
        NodeCache(tmp_path, DEFAULT_BYTES).keep(wrong)
        with pytest.raises(DigestMismatchError, match="is not that of the spec"):
            client.fetch(spec)
    assert not (tmp_path / "specs").exists()


def test_a_digest_that_rests_on_a_missing_table_is_not_remembered(
    scripted: ScriptedServer, response: type[Response], tmp_path: Path
) -> None:
    """Rows of a named table that is not at hand are not compared, so the digest holds for this call only."""
    spec = Spec(schedule=Literal(digest="ab" * 32, column="lr"), total_steps=1000)
    table = Table.compute(PORTABLE)
    serve(scripted, response, table, manifest_of(spec, table.digest))
    with Client(scripted.url, cache=tmp_path) as client:
        assert client.fetch(spec) == table
    assert not (tmp_path / "specs").exists()


def test_a_cached_table_does_not_make_a_lie_true(
    scripted: ScriptedServer, response: type[Response], tmp_path: Path
) -> None:
    """A service that names the digest of a sound, cached table of another spec is refused too."""
    other = Table.compute(Spec(schedule=WarmupWithDecay(5e-4, 100, 1000), total_steps=1000))
    NodeCache(tmp_path, DEFAULT_BYTES).keep(other)
    serve(scripted, response, other, manifest_of(PORTABLE, other.digest))
    with (
        Client(scripted.url, cache=tmp_path) as client,
        pytest.raises(DigestMismatchError, match="is not that of the spec"),
    ):
        client.fetch(PORTABLE)


# -- a pinned digest --------------------------------------------------------------------------------------------------


def test_a_pinned_digest_needs_no_service(tmp_path: Path) -> None:
    """A table whose digest the caller names is computed and compared, by a portable kind or a twin; nothing is sent."""
    for spec in (PORTABLE, TWIN):
        digest = Table.compute(spec).digest
        with Client("http://127.0.0.1:9", cache=tmp_path) as client:
            assert client.fetch(spec, digest=digest).digest == digest
            assert client.fetch(spec, digest=digest).digest == digest
            assert (client.stats().computed, client.stats().from_cache, client.stats().requests) == (1, 1, 0)


def test_a_pinned_digest_of_another_table_is_refused(
    scripted: ScriptedServer, response: type[Response], tmp_path: Path
) -> None:
    """A digest that is not the spec's is an error that names both: computed here, cached, or said by the service."""
    right, other = Table.compute(PORTABLE).digest, Table.compute(TWIN)
    with Client("http://127.0.0.1:9", cache=tmp_path) as client:
        with pytest.raises(DigestMismatchError, match=f"{other.digest} is not that of the spec, which gives {right}"):
            client.fetch(PORTABLE, digest=other.digest)
        NodeCache(tmp_path, DEFAULT_BYTES).keep(other)
        with pytest.raises(DigestMismatchError, match=f"table {other.digest} is not that of the spec"):
            client.fetch(PORTABLE, digest=other.digest)
    served(scripted, response, TWIN)
    with (
        Client(scripted.url) as client,
        pytest.raises(DigestMismatchError, match=f"the service says .* is {other.digest}, not {right}"),
    ):
        client.fetch(TWIN, digest=right)


def test_what_is_no_digest_or_way_is_refused() -> None:
    """Arguments out of range are refused by name and value, before anything is sent."""
    with Client("http://127.0.0.1:9") as client:
        with pytest.raises(ValueError, match="digest must be 64 hexadecimal digits, got 'x'"):
            client.fetch(PORTABLE, digest="x")
        with pytest.raises(ValueError, match="on_unreachable must be 'compute', 'error' or None, got 'guess'"):
            client.fetch(PORTABLE, on_unreachable="guess")  # type: ignore[arg-type]  # that is what it is about


# -- tables that name others ------------------------------------------------------------------------------------------


def test_a_spec_that_names_a_table_is_computed_where_that_is_cached(
    scripted: ScriptedServer, response: type[Response], tmp_path: Path
) -> None:
    """The values of a Literal come from the cache where it has the table; else the whole table is received."""
    named = Table.compute(PORTABLE)
    spec = Spec(schedule=Literal(digest=named.digest, column="lr"), total_steps=1000)
    table = Table({"lr": named.lr})
    serve(scripted, response, table, manifest_of(spec, table.digest))
    with Client(scripted.url, cache=tmp_path) as client:
        assert client.fetch(spec) == table
        assert client.last_source == "received"
        NodeCache(tmp_path, DEFAULT_BYTES).prune(0)
        NodeCache(tmp_path, DEFAULT_BYTES).keep(named)
        assert client.fetch(spec, digest=table.digest) == table
        assert client.stats().requests == 2


# -- around it --------------------------------------------------------------------------------------------------------


def test_a_published_table_is_cached(service_url: str, tmp_path: Path) -> None:
    """Who publishes a table has it, and fetches it without a request."""
    table = Table({"lr": [0.5, 0.25, 0.125]})
    with Client(service_url, cache=tmp_path) as client:
        client.publish(table)
        assert client.get(table.digest) == table
        assert (client.last_source, client.stats().requests) == ("cache", 1)


def test_async_code_hands_calls_to_threads(service_url: str, tmp_path: Path) -> None:
    """Several calls at once through asyncio.to_thread do not block the loop, and each gets its table."""
    specs = [Spec(schedule=WarmupWithDecay(1e-3, 10 + n, 500), total_steps=500) for n in range(6)]

    async def fetch_all(client: Client) -> tuple[list[Table], int]:
        turns, done = 0, asyncio.Event()

        async def turn() -> None:
            nonlocal turns
            while not done.is_set():
                turns += 1
                await asyncio.sleep(0)

        turning = asyncio.create_task(turn())
        tables = await asyncio.gather(*(asyncio.to_thread(client.fetch, spec) for spec in specs))
        done.set()
        await turning
        return list(tables), turns

    with Client(service_url, cache=tmp_path) as client:
        tables, turns = asyncio.run(fetch_all(client))
    assert [table.digest for table in tables] == [Table.compute(spec).digest for spec in specs]
    assert turns > len(specs)


def test_closing_is_idempotent_and_no_thread_stays(service_url: str) -> None:
    """A client may be closed twice and used after; it leaves no thread behind."""
    before = threading.active_count()
    client = Client(service_url)
    client.fetch(PORTABLE)
    client.close()
    client.close()
    client.fetch(PORTABLE)
    client.close()
    assert threading.active_count() == before


def test_a_damaged_cached_table_is_fetched_anew(
    scripted: ScriptedServer, response: type[Response], tmp_path: Path
) -> None:
    """A damaged file is not returned by a fetch or a get, and the healed one is there for the next."""
    table = served(scripted, response, TWIN)
    calls: list[Callable[[Client], Table]] = [lambda it: it.fetch(TWIN), lambda it: it.get(table.digest)]
    with Client(scripted.url, cache=tmp_path) as client:
        client.fetch(TWIN)
        for count, call in enumerate(calls, start=1):
            path = tmp_path / "tables" / f"{table.digest}.safetensors"
            content = bytearray(path.read_bytes())
            content[-7] ^= 4
            path.write_bytes(content)
            assert call(client) == table
            assert (client.last_source, client.stats().set_aside) == ("received", count)
            assert path.read_bytes() == table.to_bytes()
