"""The client against the real server, and against one that lies."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Literal, cast

import pytest

from client import Client, DigestMismatchError, RequestRefusedError, UnexpectedResponseError
from scheduler import Schedule, ScheduleError, Spec, Table
from scheduler.compose import Ramp
from scheduler.custom import CyclicLR, ExponentialWarmup, LinearWarmup, OneCycleLR, WarmupWithDecay
from scheduler.fields import Values
from scheduler.schedule import schedule
from tests.support.client.table_files import manifest_of

if TYPE_CHECKING:
    from tests.client.conftest import Response, ScriptedServer, Seen

SCHEDULE = WarmupWithDecay(5e-4, 100, 1000, min_lr=1e-6)


# -- against the real server ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "layout"),
    [
        pytest.param(SCHEDULE, {}, id="own-length"),
        pytest.param(SCHEDULE, {"total_steps": 300}, id="shorter"),
        pytest.param(LinearWarmup(1e-3, 10), {"total_steps": 50, "after": "release"}, id="release"),
        pytest.param(CyclicLR(1e-4, 0.1, 20), {"total_steps": 50, "axis": "sample", "stride": 64}, id="samples"),
        pytest.param([SCHEDULE, OneCycleLR(0.1, 1000)], {}, id="groups"),
    ],
)
@pytest.mark.filterwarnings("ignore::scheduler.ScheduleWarning")
def test_a_fetched_table_is_the_computed_one(service_url: str, schedule: Any, layout: dict[str, Any]) -> None:
    """The fetched table has the values and the digest that the schedule gives here."""
    whole = {"total_steps": 1000, **layout}
    spec = Spec(schedule=schedule if isinstance(schedule, Schedule) else tuple(schedule), **whole)
    with Client(service_url) as client:
        table = client.fetch(schedule, **layout)
        assert table == Table.compute(spec) == client.fetch(spec) == client.get(table.digest)
    assert (table.axis, table.stride, table.after) == (spec.axis, spec.stride, spec.after)


def test_an_unknown_digest_is_refused(service_url: str) -> None:
    """A table that the service has not is a refusal with status 404 that names the digest."""
    with Client(service_url) as client, pytest.raises(RequestRefusedError, match=r"answered 404: .*0000") as caught:
        client.get("0" * 64)
    assert caught.value.status == 404
    assert caught.value.code == "table-not-found"


def test_a_client_is_shared_by_threads(service_url: str) -> None:
    """Threads may use one client at once."""
    tables: list[Table] = []
    with Client(service_url) as client:
        threads = [threading.Thread(target=lambda: tables.append(client.fetch(SCHEDULE))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(tables) == 8
    assert len(set(tables)) == 1


# -- requests that contradict themselves, before anything is sent -----------------------------------------------------

NOWHERE = Client("http://127.0.0.1:9")


def test_a_length_is_needed_where_the_schedule_has_none() -> None:
    """A schedule without a length of its own needs total_steps, and so do several with different ones."""
    with pytest.raises(ValueError, match=r"total_steps is needed: custom\.LinearWarmup has no end of its own"):
        NOWHERE.fetch(LinearWarmup(1e-3, 10))
    with pytest.raises(ValueError, match=r"total_steps is needed: the schedules state different lengths, 10, 20"):
        NOWHERE.fetch([OneCycleLR(0.1, 10), OneCycleLR(0.1, 20)])
    with pytest.raises(ValueError, match="total_steps is needed"):
        NOWHERE.fetch([Ramp(0.1, 0.0, 10), OneCycleLR(0.1, 20), ExponentialWarmup(0.1, 5)])


def test_the_length_that_a_schedule_states_is_that_of_its_table() -> None:
    """A schedule without an end of its own that names its steps gives a table of so many."""
    with Client(offline=True, cache=False) as client:
        assert client.fetch([Ramp(0.1, 0.0, 90), ExponentialWarmup(0.1, 5)]).total_steps == 90


def test_a_table_longer_than_its_schedule_is_refused() -> None:
    """Pitfall 2: more steps than the schedule has is an error that names both numbers."""
    with pytest.raises(ScheduleError, match=r"total_steps must be <= 1000, where .* ends, got 5000"):
        NOWHERE.fetch(OneCycleLR(1e-2, total_steps=1000), total_steps=5000)


@pytest.mark.parametrize("extra", [{"total_steps": 5}, {"axis": "token"}, {"stride": 2}, {"after": "error"}], ids=str)
def test_a_spec_takes_no_length_of_the_call(extra: dict[str, Any]) -> None:
    """A spec already has its length and layout; giving them again is an error."""
    with pytest.raises(ValueError, match="a spec already says its total_steps, axis, stride and after"):
        NOWHERE.fetch(Spec(schedule=SCHEDULE, total_steps=1000), **extra)


@pytest.mark.parametrize("digest", ["", "0" * 63, "G" * 64, "0" * 64 + "\n", "../" + "0" * 61, "sha256:" + "0" * 64])
def test_what_is_no_digest_is_refused(digest: str) -> None:
    """A digest is 64 hexadecimal digits, nothing else."""
    with pytest.raises(ValueError, match="digest must be 64 hexadecimal digits, got"):
        NOWHERE.get(digest)


@pytest.mark.parametrize(
    "given", [LinearWarmup, {"kind": "custom.LinearWarmup"}, "custom.LinearWarmup", [0.1], 7, None]
)
def test_what_is_no_schedule_is_refused(given: Any) -> None:
    """A class, JSON data, text and numbers are named as what they are, whether total_steps is given or not."""
    for total_steps in (None, 100):
        with pytest.raises(TypeError, match=r"^schedule must be a schedule, a sequence of them, or a Spec, got "):
            NOWHERE.fetch(given, total_steps)


@schedule
class Steady(Schedule):
    """A kind of one's own."""

    kind: Literal["mine.Steady"] = "mine.Steady"

    def _fill(self, out: Values, start: int) -> None:
        out[:] = 0.1


@pytest.mark.parametrize("given", [Steady(), [LinearWarmup(1e-3, 10), Steady()]], ids=["one", "groups"])
def test_a_kind_of_ones_own_is_published_not_fetched(given: Any) -> None:
    """The error says how its table gets to the service: it does not list the kinds that there are."""
    with pytest.raises(
        ValueError, match=r"^mine\.Steady is a kind of your own, .*: publish\(.*get\(digest\) fetches it$"
    ):
        NOWHERE.fetch(given, 10)


def test_what_is_no_table_is_not_published() -> None:
    """A schedule in the place of its table is refused by name; so is the lack of a digest."""
    with pytest.raises(TypeError, match=r"^table must be a Table, got LinearWarmup\("):
        NOWHERE.publish(cast(Any, LinearWarmup(1e-3, 10)))
    with pytest.raises(ValueError, match=r"^digest must be 64 hexadecimal digits, got None"):
        NOWHERE.get(cast(Any, None))


@pytest.mark.parametrize("name", ["timeout", "deadline"])
@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), "1"])
def test_times_are_positive(name: str, seconds: object) -> None:
    """A timeout or deadline that is no positive number is refused by name and value."""
    with pytest.raises(ValueError, match=f"{name} must be a positive number of seconds, got {seconds!r}"):
        Client("http://127.0.0.1:8000", **cast(Any, {name: seconds}))


# -- against a server that lies ---------------------------------------------------------------------------------------


def serve(scripted: ScriptedServer, response: type[Response], manifest: object, content: bytes) -> None:
    """Answer a POST with the manifest, and a GET with the content."""

    def script(seen: Seen) -> Response:
        return response(body=json.dumps(manifest).encode() if seen.method == "POST" else content)

    scripted.script = script


def test_the_requests_are_the_documented_ones(scripted: ScriptedServer, response: type[Response]) -> None:
    """A fetch is one POST of the canonical spec and one GET of the digest it is answered with."""
    spec = Spec(schedule=SCHEDULE, total_steps=1000)
    table = Table.compute(spec)
    serve(scripted, response, manifest_of(spec, table.digest), table.to_bytes())
    with Client(scripted.url, compute=False) as client:
        assert client.fetch(spec) == table
    post, get = scripted.seen
    assert (post.method, post.path, post.body.decode()) == ("POST", "/v1/tables", spec.canonical())
    assert (get.method, get.path) == ("GET", f"/v1/tables/{table.digest}.safetensors")


def test_another_table_than_asked_for_is_refused(scripted: ScriptedServer, response: type[Response]) -> None:
    """A sound table with another digest is refused, and both digests are named."""
    table = Table.compute(Spec(schedule=SCHEDULE, total_steps=1000))
    serve(scripted, response, {}, table.to_bytes())
    with (
        Client(scripted.url, compute=False) as client,
        pytest.raises(DigestMismatchError, match=f"sent table {table.digest} instead of {'0' * 64}"),
    ):
        client.get("0" * 64)


@pytest.mark.parametrize("damage", ["a bit", "the end", "everything"])
def test_a_damaged_table_is_refused(scripted: ScriptedServer, response: type[Response], damage: str) -> None:
    """One wrong bit is enough."""
    spec = Spec(schedule=SCHEDULE, total_steps=1000)
    table = Table.compute(spec)
    content = bytearray(table.to_bytes())
    if damage == "a bit":
        content[-1000] ^= 1
    content = {"a bit": content, "the end": content[:-8], "everything": bytearray(b"nonsense")}[damage]
    serve(scripted, response, manifest_of(spec, table.digest), bytes(content))
    with (
        Client(scripted.url, compute=False) as client,
        pytest.raises(DigestMismatchError, match=r"is not table .*(damaged|not a table)"),
    ):
        client.fetch(SCHEDULE)


@pytest.mark.parametrize("manifest", [{}, [], "x", None, {"digest": 3}, {"digest": "../etc"}], ids=str)
def test_what_is_no_manifest_is_refused(scripted: ScriptedServer, response: type[Response], manifest: object) -> None:
    """A response without a digest comes from something else than the service."""
    serve(scripted, response, manifest, b"")
    with (
        Client(scripted.url, compute=False) as client,
        pytest.raises(UnexpectedResponseError, match="did not answer with a table's man"),
    ):
        client.fetch(SCHEDULE)


@pytest.mark.parametrize(
    ("argument", "variable", "header"),
    [
        pytest.param(None, None, None, id="none"),
        pytest.param("lrt_a", None, "Bearer lrt_a", id="argument"),
        pytest.param(None, "lrt_v", "Bearer lrt_v", id="variable"),
        pytest.param("lrt_a", "lrt_v", "Bearer lrt_a", id="argument-first"),
        pytest.param(None, "", None, id="empty-variable"),
    ],
)
def test_a_token_comes_from_the_argument_or_the_environment(
    scripted: ScriptedServer,
    response: type[Response],
    monkeypatch: pytest.MonkeyPatch,
    argument: str | None,
    variable: str | None,
    header: str | None,
) -> None:
    """The argument is sent, else LRTABLES_TOKEN where it is not empty; neither is shown by the client."""
    monkeypatch.delenv("LRTABLES_TOKEN", raising=False)
    if variable is not None:
        monkeypatch.setenv("LRTABLES_TOKEN", variable)
    spec = Spec(schedule=SCHEDULE, total_steps=1000)
    table = Table.compute(spec)
    serve(scripted, response, manifest_of(spec, table.digest), table.to_bytes())
    with Client(scripted.url, token=argument, compute=False) as client:
        client.fetch(SCHEDULE)
        assert repr(client) == f"Client({scripted.url!r})"
    assert [seen.headers.get("Authorization") for seen in scripted.seen] == [header] * 2


# -- publishing -------------------------------------------------------------------------------------------------------


def test_a_table_is_published_by_its_values(scripted: ScriptedServer, response: type[Response]) -> None:
    """Publishing is one PUT of the table's file to the address of its digest, which is what the call returns."""
    table = Table({"lr": [0.5, 0.25]})
    scripted.script = lambda _: response(201, body=json.dumps({"digest": table.digest}).encode())
    with Client(scripted.url) as client:
        assert client.publish(table) == table.digest
    (seen,) = scripted.seen
    assert (seen.method, seen.path, seen.body) == (
        "PUT",
        f"/v1/tables/{table.digest}",
        b"".join(table.parts(claims=True)),
    )
    assert seen.headers["Content-Type"] == "application/vnd.safetensors"


def test_another_table_than_published_is_an_error(scripted: ScriptedServer, response: type[Response]) -> None:
    """A service that claims to have stored other values is not believed, and both digests are named."""
    table = Table({"lr": [0.5, 0.25]})
    scripted.script = lambda _: response(body=json.dumps({"digest": "0" * 64}).encode())
    with (
        Client(scripted.url) as client,
        pytest.raises(DigestMismatchError, match=f"stored table {'0' * 64} instead of {table.digest}"),
    ):
        client.publish(table)


# -- importing --------------------------------------------------------------------------------------------------------


def test_importing_the_client_loads_neither_torch_nor_fastapi() -> None:
    """A job that only fetches pays for no more than numpy, pydantic and urllib3, and starts no thread."""
    script = """
import sys, threading
import client
client.Client("http://127.0.0.1:9")
heavy = {"torch", "fastapi", "starlette", "uvicorn", "matplotlib", "service"} & sys.modules.keys()
assert not heavy, heavy
assert threading.active_count() == 1
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_a_client_shows_its_address() -> None:
    """A client's repr is how it was made."""
    assert repr(Client("http://127.0.0.1:8000/")) == "Client('http://127.0.0.1:8000')"


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Client()` asks the service that LRTABLES_URL names; without it the address is needed."""
    monkeypatch.setenv("LRTABLES_URL", "http://127.0.0.1:8123")
    with Client() as client:
        assert repr(client) == "Client('http://127.0.0.1:8123')"
    monkeypatch.delenv("LRTABLES_URL")
    with pytest.raises(ValueError, match=r"base_url must be like 'http://127.0.0.1:8000', got None"):
        Client()
