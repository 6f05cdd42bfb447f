"""nginx, as deploy/ has it, in front of real servers."""

import json
import re
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from client import Client, RequestRefusedError
from scheduler import Table
from scheduler.custom import WarmupWithDecay
from service.database.metadata import open_metadata
from service.representations.formats import MEDIA_TYPES
from service.security.tokens import new_token
from service.settings import Settings
from tests.support.servers.deployment import Response, ask, configured, make
from tests.support.servers.nginx import NginxProcess, command, free_port
from tests.support.servers.process import ServerProcess

pytestmark = pytest.mark.needs("nginx")


class Site:
    """Servers behind the nginx of deploy/."""

    def __init__(self, stack: ExitStack, folder: Path, *, servers: int = 2, tokens: bool = False) -> None:
        data = [folder / f"data-{number}" for number in range(servers)]
        self.servers = [stack.enter_context(ServerProcess(one, require_tokens=tokens)) for one in data]
        self.port = free_port()
        ports = [server.port for server in self.servers]
        self.folder = configured(folder / "nginx", ports, self.port)
        stack.enter_context(NginxProcess(self.folder, self.port))

    def make(self, base_lr: float) -> Response:
        """One server's response to a small spec with this rate, which all of them know from now on."""
        first, *_ = [make(server.port, base_lr) for server in self.servers]
        return first

    def asked(self) -> int:
        """How often the servers were asked for tables that they have in memory."""
        return sum(server.counters()["memory_hits"] for server in self.servers)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two servers and nginx, for tests that each ask for a table of their own."""
    with ExitStack() as stack:
        yield Site(stack, tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Path]]:
    """A server that asks for tokens, and nginx; and the folder with its data."""
    folder = tmp_path_factory.mktemp("guarded")
    create_token(folder / "data-0", "admin")  # without any it does not start
    with ExitStack() as stack:
        yield Site(stack, folder, servers=1, tokens=True), folder / "data-0"


def test_nginx_takes_the_configuration(tmp_path: Path) -> None:
    """nginx finds nothing wrong with the configuration, not even a warning."""
    folder = configured(tmp_path / "nginx", [1, 2], free_port())
    done = subprocess.run(command(folder, "", "-t"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not re.search(r"\[(warn|error|emerg)\]", done.stderr), done.stderr


def test_a_herd_reaches_a_server_once(site: Site) -> None:
    """Of 100 clients that ask at once for a table that nginx has not, one reaches a server; all get the same bytes."""
    digest = json.loads(site.make(0.1).body)["digest"]
    before = site.asked()
    together = threading.Barrier(100)

    def fetch(_: int) -> Response:
        together.wait()
        return ask(site.port, "GET", f"/v1/tables/{digest}.safetensors")

    with ThreadPoolExecutor(100) as clients:
        responses = list(clients.map(fetch, range(100)))
    assert Counter(response.cache for response in responses) == {"MISS": 1, "HIT": 99}
    assert site.asked() == before + 1
    [body] = {response.body for response in responses}
    assert Table.from_bytes(body).digest == digest


def test_what_nginx_keeps_it_serves_as_a_server_would(site: Site) -> None:
    """A kept table is revalidated, cut into ranges and described by HEAD by nginx itself; its request id is new."""
    path = f"{site.make(0.2).headers['location']}.npy"
    first = ask(site.port, "GET", path, X_Request_ID="mine")
    again = ask(site.port, "GET", path)
    assert (first.cache, again.cache, again.status) == ("MISS", "HIT", 200)
    assert (again.body, again.headers["etag"]) == (first.body, first.headers["etag"])
    assert first.headers["x-request-id"] == "mine" != again.headers["x-request-id"]
    unchanged = ask(site.port, "GET", path, If_None_Match=first.headers["etag"])
    part = ask(site.port, "GET", path, Range="bytes=100-199")
    head = ask(site.port, "HEAD", path)
    assert (unchanged.status, unchanged.cache, unchanged.body) == (304, "HIT", b"")
    assert (part.status, part.cache, part.body) == (206, "HIT", first.body[100:200])
    assert (head.cache, head.headers["content-length"]) == ("HIT", str(len(first.body)))


def test_nginx_keeps_nothing_that_changes(site: Site) -> None:
    """What the server says of itself comes from a server each time, and errors are not kept; metrics are not passed."""
    missing = f"/v1/tables/{'0' * 64}.npy"
    for _ in range(2):
        assert (ask(site.port, "GET", "/v1/server").status, ask(site.port, "GET", "/v1/server").cache) == (200, "")
        assert ask(site.port, "GET", missing).cache == "MISS"
    assert ask(site.port, "GET", "/metrics").status == 404


def test_the_servers_say_what_is_too_large(site: Site) -> None:
    """A body beyond the servers' limit is within nginx's, so that the error is theirs; nginx has a limit too."""
    sizes = (2**20 + 1, 2 * 2**20 + 1)
    json_header = {"Content_Type": "application/json"}
    responses = [ask(site.port, "POST", "/v1/schedules", b"0" * size, **json_header) for size in sizes]
    table = ask(site.port, "POST", "/v1/tables", b"0" * sizes[0], **json_header)
    assert [response.status for response in responses] == [405, 413]
    assert (table.status, json.loads(table.body)["code"]) == (413, "body-too-large")


@pytest.mark.slow
def test_what_is_kept_outlives_the_servers(tmp_path: Path) -> None:
    """With no server left, tables and catalogue are served from what is kept; the rest is a problem worth a retry."""
    with ExitStack() as stack:
        check_what_is_kept(Site(stack, tmp_path))


def check_what_is_kept(site: Site) -> None:
    path = f"{site.make(0.3).headers['location']}.npy"
    kept = [ask(site.port, "GET", path), ask(site.port, "GET", "/v1/schedules")]
    for server in site.servers:
        server.kill()
    time.sleep(11)  # until the catalogue, and with it the permission to read, are out of date
    again = [ask(site.port, "GET", path), ask(site.port, "GET", "/v1/schedules")]
    assert [response.cache for response in again] == ["HIT", "STALE"]
    assert [response.body for response in again] == [response.body for response in kept]
    for response in (make(site.port), ask(site.port, "GET", f"/v1/tables/{'0' * 64}.npy", Authorization="Bearer new")):
        assert (response.status, response.headers["retry-after"]) == (503, "1")
        assert response.headers["content-type"] == "application/problem+json"
        assert json.loads(response.body)["retryable"] is True


def test_a_kept_table_takes_a_token(guarded: tuple[Site, Path]) -> None:
    """Where the servers ask for tokens, nginx gives a kept table to nobody else; the error is a server's own."""
    site, data = guarded
    token, writer = create_token(data, "read", "compute"), create_token(data, "compute")
    path = f"{make(site.port, Authorization=token).headers['location']}.npy"
    allowed = [ask(site.port, "GET", path, Authorization=token) for _ in range(2)]
    refused = ask(site.port, "GET", path)
    forbidden = ask(site.port, "GET", path, Authorization=writer)
    assert [(response.status, response.cache) for response in allowed] == [(200, "MISS"), (200, "HIT")]
    assert (refused.status, json.loads(refused.body)["status"]) == (401, 401)
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert (forbidden.status, json.loads(forbidden.body)["status"]) == (403, 403)


@pytest.mark.parametrize("how", ["announced", "in chunks"])
def test_a_token_is_asked_for_before_a_body(guarded: tuple[Site, Path], how: str) -> None:
    """Who may not is refused when the first of 99 MiB has come, or of a spec; none of it lies on nginx's disk."""
    site, data = guarded
    tokens = {b"": 401, create_token(data, "read").encode(): 403, b"Bearer lrt_" + 22 * b"A": 401}
    uploads = {b"PUT /v1/tables": 99 * 2**20, b"PUT /v1/tables/" + 64 * b"a": 99 * 2**20}
    others = dict.fromkeys((b"POST /v1/tables", b"PUT /", b"POST /v1/schedules"), 3 * 2**19)
    for (token, status), (line, size) in product(tokens.items(), {**uploads, **others}.items()):
        framing = b"Content-Length: %d" % size if how == "announced" else b"Transfer-Encoding: chunked"
        head = b"%b HTTP/1.1\r\nHost: localhost\r\nAuthorization: %b\r\n%b\r\n\r\n%x\r\n"
        with socket.create_connection(("127.0.0.1", site.port), timeout=30) as connection:
            connection.sendall(head % (line, token, framing, size) + bytes(2**20))
            response = connection.recv(2**16)
            on_disk = list((site.folder / "client_body").iterdir())
        # the page of documentation is open to anyone, but not to PUT
        assert response.startswith(b"HTTP/1.1 %d " % (405 if line == b"PUT /" else status)), (line, token, response)
        assert b"application/problem+json" in response
        assert on_disk == []


def test_a_large_table_is_published_through_nginx(guarded: tuple[Site, Path]) -> None:
    """A table of 16 MB is published with its digest or without, in one piece or in chunks, and served as it came."""
    site, data = guarded
    token = create_token(data, "publish", "read")
    values = np.linspace(1.0, 0.5, 2_000_000)
    table = Table({"lr": values})
    file = table.to_bytes()
    headers = {"Authorization": token, "Content-Type": "application/octet-stream"}
    made = ask(site.port, "PUT", f"/v1/tables/{table.digest}", file, **headers)
    with closing(HTTPConnection("127.0.0.1", site.port, timeout=60)) as connection:
        connection.request("PUT", "/v1/tables", iter([file[:5000], file[5000:]]), headers)
        again = connection.getresponse()
        assert (made.status, again.status) == (201, 200)
    served = ask(site.port, "GET", made.headers["location"], Authorization=token)
    assert Table.from_bytes(served.body).lr.tobytes() == values.tobytes()


def test_the_client_binds_answers_to_its_questions_through_nginx(guarded: tuple[Site, Path]) -> None:
    """Each response to a POST or PUT returns the request's own id; tables come from nginx's copies, and errors too."""
    site, data = guarded
    token = create_token(data, "compute", "publish", "read").removeprefix("Bearer ")
    schedule, given = WarmupWithDecay(1e-3, 10, 100), Table({"lr": [0.3, 0.2, 0.1]})
    with Client(f"http://127.0.0.1:{site.port}", token=token) as client:
        for _ in range(3):
            assert client.fetch(schedule, verify="full") == schedule.table(100)
            assert client.get(client.publish(given)) == given
        with pytest.raises(RequestRefusedError, match="answered 404") as caught:
            client.get("0" * 64)
    assert re.fullmatch("[0-9a-f]{32}", caught.value.request_id)


def test_formats_are_those_of_a_server(site: Site) -> None:
    """Whatever Accept says, nginx answers as a server does, when it asks one and when it keeps a copy."""
    path = site.make(0.4).headers["location"]
    spellings = [
        *MEDIA_TYPES,
        "*/*",
        "",
        "TEXT/CSV",
        "text/*",
        "text/csv;q=0.5, */*;q=0.1",
        "application/*;q=0",
        "image/png",
    ]
    spellings += ["*/*;q=0", "text/csv;q=0", "text/csv;charset=utf-8", "nonsense", ",", "application/json,*/*;q=0.9"]
    for accept in spellings:
        own = ask(site.servers[0].port, "GET", path, Accept=accept)
        for _ in range(2):
            response = ask(site.port, "GET", path, Accept=accept)
            assert (response.status, response.headers["content-type"]) == (own.status, own.headers["content-type"])
            assert (response.headers.get("etag"), response.headers.get("vary")) == (
                own.headers.get("etag"),
                own.headers.get("vary"),
            )


def create_token(data: Path, *scopes: str) -> str:
    """The Authorization header of a new token with these scopes."""
    token, row = new_token("test", scopes, expires_in=3600.0)
    with closing(open_metadata(Settings(data_dir=data))) as metadata:
        metadata.tokens.add(row)
    return f"Bearer {token}"


def test_text_is_kept_and_served_in_parts(site: Site) -> None:
    """A CSV has a length, so that nginx keeps it and serves any part of it by itself."""
    path = site.make(0.4375).headers["location"] + ".csv"
    whole, head = (ask(site.port, method, path) for method in ("GET", "HEAD"))
    part = ask(site.port, "GET", path, Range="bytes=9-30")
    assert whole.headers["content-length"] == head.headers["content-length"] == str(len(whole.body))
    assert (part.status, part.cache, part.body) == (206, "HIT", whole.body[9:31])


def test_the_page_of_the_api_shows_the_address_of_nginx(site: Site) -> None:
    """The commands are for who came through nginx, over TLS where that ends in front of it."""
    pages = ask(site.port, "GET", "/docs"), ask(site.port, "GET", "/docs", X_Forwarded_Proto="https")
    for page, scheme in zip(pages, ("http", "https"), strict=True):
        assert f"LRTABLES={scheme}://127.0.0.1:{site.port} " in page.body.decode()
