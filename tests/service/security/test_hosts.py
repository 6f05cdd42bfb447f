"""A page of another site does not reach a server that asks for no tokens."""

import json
import socket
from typing import Any

import pytest
from pydantic import ValidationError

from scheduler import Table
from service.security.hosts import Hosts
from service.settings import Settings
from tests.support.servers.process import ServerProcess, post

OWN = [b"localhost", b"LOCALHOST:8000", b"localhost.", b"127.0.0.1:8000", b"127.9.9.9", b"[::1]:8000", b"[::1]", b"::1"]
OTHERS = [b"evil.example", b"localhost.evil.example", b"evil.localhost.example:8000", b"127.0.0.1.evil.example", b""]
OTHERS += [
    b":8000",
    b"localhost:x",
    b"localhost@evil.example",
    b"[::1",
    b"\xff",
    b"*",
    b"a" * 1000,
    b"192.0.2.1",
    b"0.0.0.0",
]


def allowed(hosts: list[bytes], **settings: Any) -> list[bytes]:
    """Those of the hosts that are let through."""
    found = Hosts(Settings.model_validate(settings))
    return [host for host in hosts if found.allow(host)]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_server_on_the_loopback_has_names_of_its_own(host: str) -> None:
    """It is localhost, and any address of the loopback, with any port; nothing else is let through."""
    assert allowed(OWN[:-1], host=host) == OWN[:-1]
    assert allowed(OTHERS, host=host) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"require_tokens": True},
        {"host": "0.0.0.0"},
        {"host": "0.0.0.0", "insecure_no_auth": True},
        {"allowed_hosts": "*"},
    ],
)
def test_any_host_is_let_through_where_that_is_no_danger(settings: dict[str, Any]) -> None:
    """With tokens, which a page does not have, beyond the loopback, whose names nobody knows, and where it is meant."""
    assert allowed(OWN + OTHERS, **settings) == OWN + OTHERS


def test_names_can_be_added() -> None:
    """What allowed_hosts names is let through too; beyond the loopback so is any address, as probes use them."""
    names = "Tables.example, 192.0.2.1"
    mine = [b"tables.example", b"TABLES.EXAMPLE.:443", b"192.0.2.1:80"]
    assert allowed([*mine, b"x.tables.example", b"192.0.2.2"], allowed_hosts=names) == mine
    outside = {"host": "0.0.0.0", "require_tokens": True, "allowed_hosts": names.split(", ")}
    assert allowed([*mine, b"192.0.2.2", b"evil.example"], **outside) == [*mine, b"192.0.2.2"]


@pytest.mark.parametrize("name", ["", "a:80", "http://a", "a,,b", "*.example", "[::1]:80"])
def test_what_is_no_host_is_refused(name: str) -> None:
    """A name with a port, or none, is no setting."""
    with pytest.raises(ValidationError, match=r"allowed_hosts\n.* must be names of hosts, without ports, or \*, got"):
        Settings(allowed_hosts=name)  # type: ignore[arg-type]  # as a variable has it


def ask(port: int, line: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """The status and the body of an answer."""
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"{line} HTTP/1.1\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = b""
        while b"\r\n\r\n" not in answer or b"ontent-length: " not in answer:
            answer += connection.recv(2**16)
        head, _, rest = answer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(rest) < length:
            rest += connection.recv(2**16)
    return int(head.split(b" ")[1]), rest


def test_a_rebound_name_reaches_nothing(shared_server: ServerProcess, spec: dict[str, Any]) -> None:
    """By the name of another host nothing is read, computed or published, not even what is in memory."""
    digest = post(shared_server, spec)
    table = Table({"lr": [0.51325]})  # which nobody else publishes
    file = {"Content_Type": "application/octet-stream"}
    body = json.dumps(spec).encode()
    for line, sent, headers in [
        (f"GET /v1/tables/{digest}/manifest", b"", {}),
        (f"GET /v1/tables/{digest}.npy", b"", {}),
        ("GET /livez", b"", {}),
        ("POST /v1/tables", body, {"Content_Type": "application/json"}),
        ("PUT /v1/tables", table.to_bytes(), file),
    ]:
        status, answer = ask(shared_server.port, line, sent, Host=f"evil.example:{shared_server.port}", **headers)
        assert (status, json.loads(answer)["code"]) == (421, "misdirected-request")
        assert "LRTABLES_ALLOWED_HOSTS" in json.loads(answer)["detail"]
        assert ask(shared_server.port, line, b"", Host="localhost")[0] != 421
    assert ask(shared_server.port, f"GET /v1/tables/{table.digest}.npy", Host="localhost")[0] == 404


SIMPLE = [
    "",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain;application/json",
]


@pytest.mark.parametrize("content_type", SIMPLE)
def test_a_page_elsewhere_changes_nothing(
    shared_server: ServerProcess, spec: dict[str, Any], content_type: str
) -> None:
    """What a page may send to another site without asking first is refused before it is read."""
    more = {"Content_Type": content_type} if content_type else {}
    before = shared_server.counters()["computations"]
    origin = {"Host": "localhost", "Origin": "http://evil.example", **more}
    table = Table({"lr": [0.51325]})  # which nobody else publishes
    assert ask(shared_server.port, "POST /v1/tables", json.dumps(spec).encode(), **origin)[0] == 415
    assert ask(shared_server.port, "PUT /v1/tables", table.to_bytes(), **origin)[0] == 415
    assert ask(shared_server.port, "OPTIONS /v1/tables", b"", Access_Control_Request_Method="PUT", **origin)[0] == 405
    assert shared_server.counters()["computations"] == before
