"""The explorer's page and files over HTTP."""

import re

import pytest
from starlette.testclient import TestClient

from service.explorer.assets import FOLDER, POLICY, assets
from tests.service.conftest import MakeClient


def test_the_page_and_all_of_its_files_are_served(client: TestClient) -> None:
    """Each file has its media type, a strong entity tag and the policy; what a module imports is among them."""
    client.headers["accept-encoding"] = "identity"
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for path, asset in assets().items():
        response = client.get(f"/explorer/{path}")
        assert (response.status_code, response.content) == (200, asset.body)
        assert (response.headers["content-type"], response.headers["etag"]) == (asset.content_type, asset.etag)
        assert response.headers["content-security-policy"] == POLICY
    for link in re.findall(r'(?:href|src)="((?:explorer/|docs)[^"]*)"', page.text):
        assert client.get(f"/{link}").status_code == 200


def test_each_module_is_preloaded_after_those_that_it_imports(client: TestClient) -> None:
    """A browser asks for all modules at once, not for those of one level after those of the level above."""
    for path in ("/", "/?embed=1"):
        links: list[str] = re.findall(r'<link rel="modulepreload" href="explorer/(.+)">', client.get(path).text)
        assert links[-1] == "main.js"
        assert {"chart/chart.js", "share/snippets.js"} <= set(links) <= assets().keys()


def test_a_browser_that_has_a_file_is_told_so(client: TestClient) -> None:
    """With the entity tag the answer is a 304 without a body, and it is asked for each time."""
    first = client.get("/")
    again = client.get("/", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert first.headers["cache-control"] == again.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, deflate, br", "gzip"), ("br;q=1, GZIP;q=0.5", "gzip"), ("gzip;q=0", None), ("identity", None), ("", None)],
)
def test_a_file_is_compressed_for_who_takes_it(client: TestClient, accepted: str, encoding: str | None) -> None:
    """The compressed file is the same file under another strong tag, and caches are told what it depends on."""
    path = "style.css"
    response = client.get(f"/explorer/{path}", headers={"accept-encoding": accepted})
    assert response.content == assets()[path].body
    assert (response.headers.get("content-encoding"), response.headers["vary"]) == (encoding, "Accept-Encoding")
    assert (response.headers["etag"] == assets()[path].etag) == (encoding is None)
    length = len(assets()[path].compressed if encoding else assets()[path].body)
    assert int(response.headers["content-length"]) == length


@pytest.mark.parametrize(
    "path", ["assets.py", "examples.json", "nothing.js", "__init__.py", "kernel", "", "style.css/"]
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    """The folder's other files are no part of the page."""
    assert client.get(f"/explorer/{path}").status_code == 404


def test_the_policy_allows_nothing_from_elsewhere_and_nothing_inline(client: TestClient) -> None:
    """The policy names the own origin only, and the page has no inline script, style or handler."""
    assert not re.search(r"unsafe|https?:|\*", POLICY)
    html = client.get("/").text
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)", html)
    for path in FOLDER.rglob("*.js"):
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source), (
            path
        )


def test_documentation_and_explorer_lead_to_each_other(client: TestClient) -> None:
    """The page links to the API's documentation, and that to the page."""
    assert 'href="docs"' in client.get("/").text
    assert 'href="/"' in client.get("/docs").text


def test_only_the_embedded_page_may_be_framed_and_only_where_allowed(make_client: MakeClient) -> None:
    """`embed=1` alone gives the page without forms, to frame for the own pages and those of `embed_origins`."""
    client = make_client(embed_origins="https://example.com, http://docs.example.com:8080")
    for query in ("", "?embed=0", "?embed=", "?embed=1&embed=2", "?EMBED=1"):
        response = client.get(f"/{query}")
        assert response.headers["content-security-policy"] == POLICY
        assert "data-embedded" not in response.text
    for query in ("?embed=1", "?embed=0&embed=1", "?x=1&%65mbed=%31"):
        response = client.get(f"/{query}")
        policy = response.headers["content-security-policy"]
        assert policy.endswith("frame-ancestors 'self' https://example.com http://docs.example.com:8080")
        assert policy.partition("frame-ancestors")[0] == POLICY.partition("frame-ancestors")[0]
        assert "<html data-embedded " in response.text
    assert client.get("/explorer/embedded.html").headers["content-security-policy"] == POLICY
    embedded = make_client().get("/?embed=1")
    assert embedded.headers["content-security-policy"].endswith("frame-ancestors 'self'")
    unchanged = make_client().get("/?embed=1", headers={"if-none-match": embedded.headers["etag"]})
    assert (unchanged.status_code, unchanged.headers["content-security-policy"][-6:]) == (304, "'self'")
