"""Host header validation: a page of another site cannot reach a server without tokens by DNS rebinding."""

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
    """Return the hosts that are accepted."""
    found = Hosts(Settings.model_validate(settings))
    return [host for host in hosts if found.is_allowed(host)]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_server_on_the_loopback_accepts_only_loopback_names(host: str) -> None:
    """It accepts localhost and any loopback address, with any port, and nothing else."""
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
def test_any_host_is_accepted_if_that_is_safe_or_configured(settings: dict[str, Any]) -> None:
    """Any host is accepted with required tokens, beyond the loopback, and with allowed_hosts `*`."""
    assert allowed(OWN + OTHERS, **settings) == OWN + OTHERS


def test_names_can_be_added() -> None:
    """Names in allowed_hosts are accepted; beyond the loopback so is any IP address, as probes use them."""
    names = "Tables.example, 192.0.2.1"
    mine = [b"tables.example", b"TABLES.EXAMPLE.:443", b"192.0.2.1:80"]
    assert allowed([*mine, b"x.tables.example", b"192.0.2.2"], allowed_hosts=names) == mine
    outside = {"host": "0.0.0.0", "require_tokens": True, "allowed_hosts": names.split(", ")}
    assert allowed([*mine, b"192.0.2.2", b"evil.example"], **outside) == [*mine, b"192.0.2.2"]


@pytest.mark.parametrize("name", ["", "a:80", "http://a", "a,,b", "*.example", "[::1]:80"])
def test_an_invalid_name_is_rejected(name: str) -> None:
    """An empty name, or one with a port or a scheme, is not a valid setting."""
    with pytest.raises(ValidationError, match=r"allowed_hosts\n.* must be host names without ports, or \*, got"):
        Settings(allowed_hosts=name)  # type: ignore[arg-type]  # as a variable has it


def ask(port: int, line: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """Send a request, and return the status and the body of the response."""
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"{line} HTTP/1.1\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        received = b""
        while b"\r\n\r\n" not in received or b"ontent-length: " not in received:
            received += connection.recv(2**16)
        head, _, rest = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(rest) < length:
            rest += connection.recv(2**16)
    return int(head.split(b" ")[1]), rest


def test_a_foreign_host_name_reaches_nothing(shared_server: ServerProcess, spec: dict[str, Any]) -> None:
    """A request with a foreign Host header reads, computes and publishes nothing, not even from the memory cache."""
    digest = post(shared_server, spec)
    table = Table({"lr": [0.51325]})  # no other test publishes it
    file = {"Content_Type": "application/octet-stream"}
    body = json.dumps(spec).encode()
    for line, sent, headers in [
        (f"GET /v1/tables/{digest}/manifest", b"", {}),
        (f"GET /v1/tables/{digest}.npy", b"", {}),
        ("GET /livez", b"", {}),
        ("POST /v1/tables", body, {"Content_Type": "application/json"}),
        ("PUT /v1/tables", table.to_bytes(), file),
    ]:
        status, content = ask(shared_server.port, line, sent, Host=f"evil.example:{shared_server.port}", **headers)
        assert (status, json.loads(content)["code"]) == (421, "misdirected-request")
        assert "LRTABLES_ALLOWED_HOSTS" in json.loads(content)["detail"]
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
def test_a_page_of_another_site_changes_nothing(
    shared_server: ServerProcess, spec: dict[str, Any], content_type: str
) -> None:
    """A request that a browser sends to another site without a CORS preflight is rejected before its body is read."""
    more = {"Content_Type": content_type} if content_type else {}
    before = shared_server.counters()["computations"]
    origin = {"Host": "localhost", "Origin": "http://evil.example", **more}
    table = Table({"lr": [0.51325]})  # which nobody else publishes
    assert ask(shared_server.port, "POST /v1/tables", json.dumps(spec).encode(), **origin)[0] == 415
    assert ask(shared_server.port, "PUT /v1/tables", table.to_bytes(), **origin)[0] == 415
    assert ask(shared_server.port, "OPTIONS /v1/tables", b"", Access_Control_Request_Method="PUT", **origin)[0] == 405
    assert shared_server.counters()["computations"] == before
