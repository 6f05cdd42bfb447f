"""Addresses with whatever can be put into them, sent to nginx as deploy/ has it, and what arrives behind it.

Run: python -m tests.deploy.addresses 50000
"""

from __future__ import annotations

import random
import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from service.security.tokens import SCOPES
from tests.deploy.upstream import CHECK, Request, Upstream, named
from tests.support.servers.deployment import configured
from tests.support.servers.nginx import NginxProcess, free_port

DIGEST = "0123456789abcdef" * 4
SAMPLES = ["/", "/livez", "/v1/lr", "/v1/events", "/metrics", "/v1/tables", "/~specs", "/~may", "/~change"]
SAMPLES += ["/v1/runs", "/v1/runs/team-a/bert", "/v1/runs/team-a/bert/versions/3"]
SAMPLES += ["/v1/schedules", "/v1/schedules/a.B"]
SAMPLES += [f"/v1/tables/{DIGEST}{rest}" for rest in ("", ".npy", "/manifest", "/values")]
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")

SPLIT = "%20HTTP/1.1%0d%0aHost:%20x%0d%0a%0d%0aGET%20/metrics"
CONTROL = ["%0d%0a", "%0D%0A", "%0a", "%0d", "%00", "%09", "%1f", "%7f", "%7F", SPLIT, "%0d%0aX-Cache:%20y"]
ENCODED = ["%20", "%25", "%2525", "%250a", "%2f", "%2F", "%2e", "%2e%2e/", "%5c", "%3f", "%23", "%3b", "%61", "%41"]
BEYOND = ["%ff", "%c3%a9", "%c0%ae", "%c0%af", "%e0%80%af", "%u000a", "%", "%0", "%zz", "é", "\xff"]
DOTS = ["/", "//", "/.", "/./", "/../", "/..", "..", "."]
PLAIN = [*DOTS, ";", ";x=y", "\\", "{", '"', "<", "|", "*", "@", ":", "~", "+"]
RAW = ["\0", "\1", "\t", "\x7f", "\r", "\n", " ", "\r\n", " HTTP/1.1\r\nX: y", "#", "#x"]
QUERIES = ["?", "?x", "?x=%20&y=[1]", "?" + "x" * 7000] + ["?" + one for one in CONTROL]
TOKENS = CONTROL + ENCODED + BEYOND + PLAIN + RAW + QUERIES


class Sent(NamedTuple):
    """A request as it is sent to nginx."""

    method: str
    target: bytes


class Proxy:
    """nginx in front of a stand-in for a server."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.upstream = stack.enter_context(Upstream())
        self.port = free_port()
        self.folder = configured(folder / "nginx", [self.upstream.port], self.port)
        stack.enter_context(NginxProcess(self.folder, self.port))

    def send(self, sent: Sent) -> tuple[int, bytes]:
        """The status and the body of the response; 0 where there is none, as HTTP/0.9 has it."""
        body = b"abc" if sent.method in ("POST", "PUT") else b""
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        head = b"%b %b HTTP/1.1\r\nHost: localhost\r\n%bConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(head % (sent.method.encode(), sent.target, length) + body)
            response = b"".join(iter(partial(connection.recv, 2**16), b""))
        head, _, body = response.partition(b"\r\n\r\n")
        return (int(head.split(b" ")[1]) if head.startswith(b"HTTP/1.1 ") else 0), body

    def passes(self, sent: Sent) -> bool:
        """Whether this reached a server. Raises `AssertionError` where something else did, or the response is wrong."""
        self.upstream.taken()
        status, body = self.send(sent)
        arrived = self.upstream.taken()
        try:
            check(sent, status, body, arrived)
        except AssertionError as error:
            raise AssertionError(f"{sent} was answered {status} {body[:200]!r}, with {arrived}") from error
        return any(not request.is_check for request in arrived)

    def copies(self) -> list[Path]:
        """The files of what nginx keeps."""
        return [path for path in (self.folder / "tables").rglob("*") if path.is_file()]


def mutations(path: str) -> Iterator[bytes]:
    """Targets made of a path and one of the tokens: behind it, in the middle of it, in front of it."""
    middle = len(path) // 2
    for token in TOKENS:
        for target in (path + token, path[:middle] + token + path[middle:], "/" + token + path):
            yield target.encode("latin-1")


def check(sent: Sent, status: int, body: bytes, arrived: list[Request]) -> None:
    """Nothing arrived but what was sent, and the response is the one to it."""
    line = re.split(rb"[\r\n ]", sent.target.lstrip(b" "))[0]  # where a request line ends, whatever follows
    checks = [request for request in arrived if request.is_check]
    passed = [request for request in arrived if not request.is_check]
    assert len(checks) <= 1
    assert {request.line for request in checks} <= {f"GET {CHECK}{scope} HTTP/1.1".encode() for scope in SCOPES}
    assert len(passed) <= 1
    for request in passed:
        assert request.target == line
        assert request.method in (sent.method, "GET" if sent.method == "HEAD" else sent.method)
        assert not request.target.startswith(b"/metrics")
        assert not re.search(rb"%(?:[01]|7[fF])|[\x00-\x20\x7f-\xff]", request.target)
        assert request.body == (b"abc" if sent.method in ("POST", "PUT") else b"")
    if status == 200:
        assert body == (b"" if sent.method == "HEAD" else named(line, body.rpartition(b" as ")[2].decode()))
    else:
        assert status in (0, 400, 404, 405, 414)  # of nginx; 0 is HTTP/0.9
        assert not passed or status == 0


def written(count: int, seed: int) -> Iterator[Sent]:
    """Requests written at random: of any method, to a sample with some of the tokens anywhere in it."""
    chosen = random.Random(seed)
    for _ in range(count):
        target = chosen.choice(SAMPLES)
        for _ in range(chosen.randint(0, 3)):
            place = chosen.randint(0, len(target))
            target = target[:place] + chosen.choice(TOKENS) + target[place:]
        yield Sent(chosen.choice(METHODS), target.encode("latin-1"))


def main() -> None:
    """Send as many requests as the command says, and stop at one that is not answered as it should be."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        proxy = Proxy(stack, Path(folder))
        passed = sum(proxy.passes(sent) for sent in written(count, seed=1))
    print(f"{count} requests, {passed} of which reached a server, each as it was sent and alone")


if __name__ == "__main__":
    main()
