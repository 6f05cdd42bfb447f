"""A service that cannot be reached, and a client that must not reach for it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from client import Client, DeadlineExceededError, OfflineError, ServiceUnreachableError
from client.cache.folders import DEFAULT_BYTES
from client.cache.node_cache import NodeCache
from scheduler import ScheduleWarning, Spec, Table
from scheduler.builtin import CosineAnnealingLR
from scheduler.custom import WarmupWithDecay
from tests.support.servers.fault_profiles import REFUSED
from tests.support.servers.fault_proxy import FaultProxy

if TYPE_CHECKING:
    from tests.client.conftest import Response, ScriptedServer

PORTABLE = Spec(schedule=WarmupWithDecay(5e-4, 100, 1000, min_lr=1e-6), total_steps=1000)
TWIN = Spec(schedule=CosineAnnealingLR(0.1, 1000), total_steps=1000)


# -- unreachable ------------------------------------------------------------------------------------------------------


def test_a_portable_table_is_computed_where_nobody_listens(free_port: int, tmp_path: Path) -> None:
    """A job with a portable schedule starts without its service, within seconds, and is told the digest."""
    table = Table.compute(PORTABLE)
    began = time.monotonic()
    with Client(f"http://127.0.0.1:{free_port}", deadline=600.0, cache=tmp_path) as client:
        with pytest.warns(ScheduleWarning, match=f"cannot be reached .* confirmed its digest {table.digest}") as caught:
            found = client.fetch(PORTABLE)
        assert (found, found.spec, client.last_source) == (table, PORTABLE, "unconfirmed")
        assert caught[0].filename == __file__
    assert time.monotonic() - began < 60.0
    assert not (tmp_path / "specs").exists()  # nobody has confirmed it


def test_a_twin_is_an_error_unless_it_may_be_computed(free_port: int) -> None:
    """A twin's last bits are the service's to say: without it the call fails, or computes where it is told to."""
    with Client(f"http://127.0.0.1:{free_port}", refused_patience=0.2) as client:
        with pytest.raises(ServiceUnreachableError, match=r"refused for the 0\.2 s of refused_patience"):
            client.fetch(TWIN)
        with pytest.raises(ServiceUnreachableError, match="refused"):
            client.fetch(PORTABLE, on_unreachable="error")
        with pytest.warns(ScheduleWarning, match="no service has confirmed"):
            assert client.fetch(TWIN, on_unreachable="compute") == Table.compute(TWIN)


def test_a_silent_service_is_unreachable_too(scripted: ScriptedServer, response: type[Response]) -> None:
    """Where the deadline comes and nothing was answered, a portable table is computed, and a twin is an error."""
    scripted.script = lambda _: response(pause=0.5)
    with Client(scripted.url, deadline=0.4, timeout=0.2) as client:
        with pytest.warns(ScheduleWarning, match="was not answered in time"):
            assert client.fetch(PORTABLE) == Table.compute(PORTABLE)
        with pytest.raises(DeadlineExceededError, match="was not answered in time"):
            client.fetch(TWIN)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500])
def test_a_service_that_refuses_is_not_away(scripted: ScriptedServer, response: type[Response], status: int) -> None:
    """A refusal is the service's answer: nothing is computed in its place."""
    scripted.script = lambda _: response(status)
    with Client(scripted.url) as client, pytest.raises(Exception, match=f"answered {status}"):
        client.fetch(PORTABLE)


@pytest.mark.slow
def test_a_restart_is_survived(service_url: str) -> None:
    """A job that cannot compute its table waits for a service that is away for 10 seconds, with default settings."""
    table = Table({"lr": [0.5, 0.25, 0.75]})
    with Client(service_url) as client:
        client.publish(table)
    with FaultProxy(int(service_url.rpartition(":")[2])) as proxy, ThreadPoolExecutor(1) as pool:
        with proxy.faulty(REFUSED), Client(proxy.url) as client:
            call = pool.submit(client.get, table.digest)
            time.sleep(10.0)
        assert call.result() == table
        assert client.stats().retries


# -- offline ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the creation of any socket, and any look-up of a name, be an error."""

    def refused(*arguments: Any, **_: Any) -> Any:
        raise AssertionError(f"a socket was asked for: {arguments}")

    for name in ("socket", "create_connection", "getaddrinfo", "socketpair"):
        monkeypatch.setattr(socket, name, refused)


@pytest.mark.usefixtures("no_sockets")
def test_no_socket_is_opened_offline(tmp_path: Path) -> None:
    """Offline, tables come from the cache, or are computed; what cannot be had is an error that says where it was."""
    published = Table({"lr": [0.5, 0.25]})
    NodeCache(tmp_path, DEFAULT_BYTES).keep(published)
    twin = Table.compute(TWIN)
    with Client("http://service.example:8000", offline=True, cache=tmp_path) as client:
        assert client.get(published.digest) == published
        assert client.fetch(PORTABLE) == Table.compute(PORTABLE)
        assert client.last_source == "unconfirmed"
        assert client.fetch(PORTABLE, digest=Table.compute(PORTABLE).digest) == Table.compute(PORTABLE)
        assert client.fetch(TWIN, digest=twin.digest) == twin
        where = re.escape(str(tmp_path))
        with pytest.raises(OfflineError, match=f"offline: the table {'0' * 64} was looked for: .* the cache {where}"):
            client.get("0" * 64)
        shorter = Spec(schedule=CosineAnnealingLR(0.1, 999), total_steps=999)
        with pytest.raises(OfflineError, match=f"the digest of spec {shorter.id} was looked for: .*other machines"):
            client.fetch(shorter)
        with pytest.raises(OfflineError, match=f"the table {'1' * 64} was looked for"):
            client.fetch(shorter, digest="1" * 64)
        with pytest.raises(OfflineError, match=r"offline: PUT http://service.example:8000/v1/tables/.* was not sent"):
            client.publish(published)
        status = client.status()
        assert (status.reachable, "offline" in status.error) == (False, True)
        assert client.stats().requests == 0
        client.close()


@pytest.mark.usefixtures("no_sockets")
def test_what_the_service_confirmed_is_known_offline(
    tmp_path: Path,
) -> None:
    """A digest that was remembered online serves offline, whatever the port of the service was then."""
    table, cache = Table.compute(PORTABLE), NodeCache(tmp_path, DEFAULT_BYTES)
    cache.keep(table)
    cache.remember(PORTABLE.id, table.digest)
    with Client(offline=True, cache=tmp_path) as client:
        assert client.fetch(PORTABLE) == table
        assert client.last_source == "cache"


def test_the_environment_says_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """LRTABLES_OFFLINE is 1, 0 or empty; the argument comes first, and another value is refused."""
    monkeypatch.setenv("LRTABLES_OFFLINE", "1")
    with Client() as client, pytest.raises(OfflineError, match="there is no cache"):
        client.get("0" * 64)
    with pytest.raises(ValueError, match="base_url must be like"):
        Client(offline=False)
    for text in ("", "0"):
        monkeypatch.setenv("LRTABLES_OFFLINE", text)
        with pytest.raises(ValueError, match="base_url must be like"):
            Client()
    monkeypatch.setenv("LRTABLES_OFFLINE", "yes")
    with pytest.raises(ValueError, match="LRTABLES_OFFLINE must be 0 or 1, got 'yes'"):
        Client("http://127.0.0.1:9")


def test_a_whole_process_opens_no_socket_offline(tmp_path: Path) -> None:
    """From the first import on, an offline job opens no socket: an audit hook sees every one."""
    table = Table.compute(TWIN)
    NodeCache(tmp_path, DEFAULT_BYTES).keep(table)
    script = """
import sys
import urllib3.util.connection  # asks the machine for IPv6 when it is imported, by a socket on the loopback
def watch(event, arguments):
    assert not event.startswith("socket."), (event, arguments)
sys.addaudithook(watch)
from client import Client
from scheduler.custom import WarmupWithDecay
from tests.support.servers.fault_profiles import REFUSED
from tests.support.servers.fault_proxy import FaultProxy
client = Client("http://service.example:8000")
client.get(sys.argv[1])
client.fetch(WarmupWithDecay(5e-4, 100, 1000))
client.close()
"""
    environment = {"LRTABLES_OFFLINE": "1", "LRTABLES_CACHE": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-W", "error", "-c", script, table.digest], check=True, env=environment)
