"""The page of documentation."""

import base64
import hashlib
import json
import re
import shlex
import subprocess
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from scheduler import Spec, Table
from service.documentation.openapi import operations
from service.http.error_status import ERROR_STATUSES
from tests.service.golden import EXAMPLES_BY_NAME
from tests.support.servers.process import ServerProcess


class Page(HTMLParser):
    """A page, read: its elements' attributes, what is open, and the text of its command lines."""

    VOID = ("meta",)

    def __init__(self, html: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.commands: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        self._open += [] if tag in self.VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["code"]:
            self.commands += [line for line in data.splitlines() if line.startswith("curl ")]

    def values(self, attribute: str) -> list[str]:
        """Every value of an attribute."""
        return [value for _, found in self.attributes if (value := found.get(attribute)) is not None]


@pytest.fixture
def html(client: TestClient) -> str:
    return client.get("/docs").text


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    data: dict[str, Any] = client.get("/v1/openapi.json").json()
    return data


def test_every_route_is_on_the_page(html: str, document: dict[str, Any]) -> None:
    """The page shows each route of the OpenAPI document, each with a command line, and each code of an error."""
    for route, operation in operations(document):
        method, path = route.split()
        assert f">{method}</span> {path}</h3>" in html, route
        assert escape(operation["description"].partition(".")[0].partition("`")[0]) in html
    assert len(Page(html).commands) == len(list(operations(document))) + 3  # and the quick start
    assert {found.code for found in ERROR_STATUSES.values()} <= set(re.findall(r"<code>([a-z-]+)</code>", html))


def test_the_page_needs_nothing_else(client: TestClient, html: str) -> None:
    """The page loads nothing, runs nothing, and its policy would not let it; only its own style is allowed."""
    page = Page(html)
    assert {tag for tag, _ in page.attributes} & {"script", "img", "link", "iframe", "form", "input", "object"} == set()
    assert [name for _, found in page.attributes for name in found if name.startswith("on") or name == "style"] == []
    style = html.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = client.get("/docs").headers["content-security-policy"]
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]


def test_every_link_leads_somewhere(client: TestClient, html: str) -> None:
    """Each link is to a place on the page, or to an address of this server; no place has two names."""
    page = Page(html)
    places = page.values("id")
    assert len(places) == len(set(places))
    for link in set(page.values("href")):
        assert link[1:] in places if link.startswith("#") else client.get(link).status_code == 200, link


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"Host": "tables.example:8123"}, "http://tables.example:8123"),
        ({"Host": "[::1]:8000"}, "http://[::1]:8000"),
        ({"Host": "tables.example", "X-Forwarded-Proto": "https"}, "https://tables.example"),
        ({"Host": "$(reboot)"}, "http://localhost:8000"),
    ],
)
def test_the_page_shows_its_own_address(client: TestClient, headers: dict[str, str], address: str) -> None:
    """The commands are for the server that sent the page, as the browser reached it, and for no shell's surprise."""
    html = client.get("/docs", headers=headers).text
    assert re.findall(r"LRTABLES=(\S*)", html) == [address]


def test_the_page_is_asked_for_anew(client: TestClient) -> None:
    """The page changes with the version: it is not kept unasked, and says nothing of who asked."""
    for method in ("GET", "HEAD"):
        headers = client.request(method, "/docs").headers
        assert (headers["cache-control"], headers["content-type"]) == ("no-cache", "text/html; charset=utf-8")


_RUN = "/v1/runs/team-a/bert-base-42"  # of the page's examples


@pytest.mark.needs("curl")
def test_the_commands_work(shared_server: ServerProcess, tmp_path: Path) -> None:
    """Each command line on the page does what it says, in the order of the page, with a real server."""
    spec = Spec.model_validate_json(json.dumps(EXAMPLES_BY_NAME["post /v1/tables"].body))
    Table.compute(spec).save(tmp_path / "table.safetensors")
    commands = Page(shared_server.get("/docs").decode()).commands
    create = next(command for command in commands if "If-None-Match: *" in command)
    propose = next(command for command in commands if command.endswith("/proposals") and "-d" in command)
    for number, command in enumerate(commands):
        # each command about a run is for a new one, as the page's own commands make it
        first = [create] * (_RUN in command and command != create) + [propose] * ("/proposals" in command)
        for each in dict.fromkeys([*first, command]):
            line = each.replace("$LRTABLES", shared_server.url).replace(_RUN, f"{_RUN}-{number}")
            words = [*shlex.split(line), "--fail", "--silent", "--show-error"]
            done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, (line, done.stderr)
    assert Table.load(tmp_path / "table.safetensors") == Table.compute(spec)
