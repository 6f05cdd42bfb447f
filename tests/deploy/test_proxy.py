"""nginx, as deploy/ has it, passes on what it was asked for and nothing else: a stand-in records all that arrives."""

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import pytest

from service.representations.formats import FORMATS, MEDIA_TYPES
from service.security.tokens import SCOPES
from tests.deploy.addresses import CONTROL, DIGEST, METHODS, SAMPLES, Proxy, Sent, mutations, written
from tests.deploy.upstream import Request, Upstream, named
from tests.support.servers.deployment import DEPLOY, ask, configured
from tests.support.servers.nginx import NginxProcess, free_port

pytestmark = pytest.mark.needs("nginx")

CONFIGURATION = (DEPLOY / "nginx" / "nginx.conf").read_text(encoding="utf-8")
LOCATIONS = re.findall(
    r"^ *location (?:(=|~|\^~) )?(\S+) \{$", CONFIGURATION.replace('"', "").replace(r"\z", r"\Z"), re.MULTILINE
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """One for many requests."""
    with ExitStack() as stack:
        yield Proxy(stack, tmp_path_factory.mktemp("proxy"))


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    """One for a test that looks at what it keeps, or ends its server."""
    with ExitStack() as stack:
        yield Proxy(stack, tmp_path)


def test_every_location_has_a_sample() -> None:
    """Each location of the configuration is tried below, a new one too."""
    for how, what in LOCATIONS:
        if not what.startswith("@"):
            matches = re.compile(what).search if how == "~" else (lambda path, what=what: path == what)
            assert any(map(matches, SAMPLES)), what


@pytest.mark.parametrize("path", SAMPLES)
def test_nothing_arrives_that_was_not_asked_for(shared: Proxy, path: str) -> None:
    """Whatever is put into an address, a server gets the request that was sent or none, and so does the cache."""
    for method in METHODS:
        shared.passes(Sent(method, path.encode()))
    for number, target in enumerate(mutations(path)):
        shared.passes(Sent(METHODS[number % len(METHODS)], target))


def test_nor_does_it_with_several_things_put_into_an_address(shared: Proxy) -> None:
    """The same of addresses written at random; python -m tests.deploy.addresses."""
    for sent in written(500, seed=3):
        shared.passes(sent)


@pytest.mark.parametrize("token", CONTROL)
def test_control_characters_are_refused(shared: Proxy, token: str) -> None:
    """An escaped control character in a path or a query is answered 400 by nginx itself, with a problem."""
    shared.upstream.taken()
    for path, where in product(SAMPLES, ("", "/", "?", "?x=")):
        response = ask(shared.port, "GET", path + where + token)
        assert response.status == 400
        assert b'"code":"unexpected-address"' in response.body or (token == "%00" and "?" not in where)
    assert shared.upstream.taken() == []


METRICS = ["/metrics", "/metrics/", "//metrics", "/./metrics", "/v1/../metrics", "/%6detrics", "/metrics%00"]
METRICS += ["/metrics;", "/metrics?x", "/metrics#x", "/%2fmetrics", "/metric%73?", "/~may/../metrics"]
METRICS += ["/v1/schedules/../../metrics", "/v1/schedules%2f..%2f..%2fmetrics"]
METRICS += ["http://localhost/metrics", "http://localhost//metrics", "http://localhost?/metrics"]


@pytest.mark.parametrize("target", METRICS)
def test_metrics_are_not_reached(shared: Proxy, target: str) -> None:
    """No spelling of /metrics reaches a server."""
    shared.upstream.taken()
    statuses = {shared.send(Sent(method, target.encode()))[0] for method in METHODS}
    assert statuses <= {400, 404}
    assert shared.upstream.taken() == []


def test_an_address_has_one_copy(proxy: Proxy) -> None:
    """However Accept is written, nginx keeps one copy of a table for each format, and nothing of what a query is in."""
    path = f"/v1/tables/{DIGEST}"
    for spelling in ("", "*/*", *MEDIA_TYPES, *map(str.upper, MEDIA_TYPES)):
        again = [ask(proxy.port, "GET", path, Accept=spelling) for _ in range(2)]
        chosen = spelling.lower() if spelling.lower() in MEDIA_TYPES else MEDIA_TYPES[0]
        assert {response.body for response in again} == {named(path.encode(), chosen)}
        assert again[1].cache == "HIT"
    assert len(proxy.copies()) == len(MEDIA_TYPES)
    for number in range(20):
        accept = f"text/csv;q=0.{number}, application/*;q=0.5"
        assert ask(proxy.port, "GET", path, Accept=accept).body == named(path.encode(), accept)
        response = ask(proxy.port, "GET", f"{path}.npy?{number}")
        assert (response.body, response.cache) == (named(f"{path}.npy?{number}".encode()), "BYPASS")
    assert len(proxy.copies()) == len(MEDIA_TYPES)


@pytest.mark.parametrize("rest", ["", ".npy", "/manifest"])
def test_only_what_never_changes_is_kept(proxy: Proxy, rest: str) -> None:
    """Of tables and manifests nginx keeps what the server calls immutable, though that is private; the rest not."""
    path = f"/v1/tables/{DIGEST}{rest}"
    echoed = Upstream.answer
    proxy.upstream.answer = lambda request: echoed(request).replace(b"max-age=9, immutable", b"no-cache")
    assert [ask(proxy.port, "GET", path).cache for _ in range(2)] == ["MISS", "MISS"]
    assert proxy.copies() == []
    proxy.upstream.answer = echoed
    assert [ask(proxy.port, "GET", path).cache for _ in range(2)] == ["MISS", "HIT"]


@pytest.mark.parametrize("rest", ["", "/team-a/bert", "/team-a/bert/versions", "/team-a/bert/versions/1"])
def test_nothing_of_a_run_is_kept(proxy: Proxy, rest: str) -> None:
    """Which runs a token may see only a server knows, and how old a head is: each request reaches one."""
    for _ in range(2):
        assert ask(proxy.port, "GET", f"/v1/runs{rest}").cache == ""
    assert [request.is_check for request in proxy.upstream.taken()] == [False, False]
    assert proxy.copies() == []


def test_a_change_of_a_run_is_sent_once(tmp_path: Path) -> None:
    """Where a server goes away after it got a change, no other one is sent it; a reader is served by another."""

    def go_away(request: Request) -> bytes:
        raise OSError(f"{request.line!r} is not answered")

    with ExitStack() as stack:
        servers = [stack.enter_context(Upstream(go_away)) for _ in range(2)]
        port = free_port()
        folder = configured(tmp_path / "nginx", [server.port for server in servers], port)
        stack.enter_context(NginxProcess(folder, port))
        for method, path in (("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rollback"), ("GET", "")):
            body = None if method in ("GET", "DELETE") else b"{}"
            response = ask(port, method, f"/v1/runs/team-a/bert{path}", body)
            sent = [request.method for server in servers for request in server.taken()]
            assert response.status == 503
            assert sent == [method] * (2 if method == "GET" else 1)


def test_a_new_revision_of_a_format_has_a_new_key() -> None:
    """Who raises a revision raises the number in the keys of nginx too, else old copies are served; and both here."""
    numbers = set(re.findall(r'proxy_cache_key "(\d+) \$path', CONFIGURATION))
    assert (numbers, [item.revision for item in FORMATS]) == ({"2"}, [2, 1, 1, 1])


def test_nginx_knows_the_scopes() -> None:
    """nginx asks for scopes that there are, those that the server's guard asks for."""
    [block] = re.findall(r"map \$request_method \$scope \{(.*?)\}", CONFIGURATION, re.DOTALL)
    asked = dict(line.split() for line in block.replace(";", "").strip().splitlines())
    assert asked == {"GET": "read", "HEAD": "read", "POST": "compute", "PUT": "publish", "default": "admin"}
    assert set(asked.values()) == {*SCOPES} - {"propose"}  # which nothing of what nginx keeps needs


def answering(status: int, *more: str) -> bytes:
    """A response with these headers."""
    lines = [f"HTTP/1.1 {status} Whatever", "Content-Length: 2", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n{}"


@pytest.mark.parametrize("status", [400, 404, 405, 421, 422, 429, 431, 500, 503])
@pytest.mark.parametrize(("method", "path"), [("GET", f"/v1/tables/{DIGEST}.npy"), ("POST", "/v1/tables")])
def test_what_is_neither_yes_nor_no_is_the_servers_to_say(proxy: Proxy, status: int, method: str, path: str) -> None:
    """Where the check of a token is answered 429 or the like, the caller gets a server's response, Retry-After too."""
    proxy.upstream.answer = lambda request: answering(status, "Retry-After: 7", "X-Own: yes")
    for _ in range(2):
        response = ask(proxy.port, method, path, b"{}" if method == "POST" else None)
        assert (response.status, response.headers["retry-after"], response.headers["x-own"]) == (status, "7", "yes")
    assert {request.method for request in proxy.upstream.taken() if not request.is_check} == {method}


def checking(proxy: Proxy, yes: bytes) -> None:
    """Answer checks so from now on, everything else as before."""
    echoed = Upstream.answer
    proxy.upstream.answer = lambda request: yes if request.is_check else echoed(request)


def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def test_a_yes_holds_for_as_long_as_the_server_says(proxy: Proxy) -> None:
    """With no server left, a token is honoured for stale-if-error, then not; one never seen is not at all."""
    checking(proxy, b"HTTP/1.1 204 No Content\r\nCache-Control: max-age=1, stale-if-error=3\r\n\r\n")
    path = f"/v1/tables/{DIGEST}.npy"
    assert ask(proxy.port, "GET", path, Authorization="Bearer a").status == 200
    proxy.upstream.stop()
    wait(2.1)
    assert ask(proxy.port, "GET", path, Authorization="Bearer a").cache == "HIT"
    assert ask(proxy.port, "GET", path, Authorization="Bearer b").status == 503
    wait(3.1)
    assert ask(proxy.port, "GET", path, Authorization="Bearer a").status == 503


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_not_revived(proxy: Proxy, status: int) -> None:
    """A token that nginx has seen refused is not honoured when the servers die, though it was valid before."""
    checking(proxy, b"HTTP/1.1 204 No Content\r\nCache-Control: max-age=1, stale-if-error=300\r\n\r\n")
    path = f"/v1/tables/{DIGEST}.npy"
    assert ask(proxy.port, "GET", path, Authorization="Bearer a").status == 200
    refusal = answering(status, "Cache-Control: max-age=1")
    proxy.upstream.answer = lambda request: refusal
    wait(2.1)
    assert ask(proxy.port, "GET", path, Authorization="Bearer a").status == status
    proxy.upstream.stop()
    for _ in range(2):
        assert ask(proxy.port, "GET", path, Authorization="Bearer a").status in (status, 503)
        wait(2.1)


@pytest.mark.parametrize(("query", "caches"), [("", ["MISS", "HIT"]), ("?x", ["BYPASS", "BYPASS"])])
def test_a_part_is_served_of_what_is_not_kept_too(proxy: Proxy, query: str, caches: list[str]) -> None:
    """A range is served on the first request, of a copy, and where none is kept."""
    path = f"/v1/tables/{DIGEST}.npy{query}"
    responses = [ask(proxy.port, "GET", path, Range="bytes=3-7") for _ in range(2)]
    assert [(response.status, response.body) for response in responses] == [(206, named(path.encode())[3:8])] * 2
    assert [response.cache for response in responses] == caches
