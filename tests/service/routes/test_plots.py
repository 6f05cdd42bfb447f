"""Pictures of tables over HTTP."""

import io
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from service.representations.plots import pictures
from tests.service.conftest import MakeClient

GROUPS = {
    "schedule": [{"kind": "Ramp", "start": 0.1, "stop": 0.0, "length": 2000}] * 2,
    "columns": {"weight_decay": {"kind": "Constant", "value": 0.1}},
    "total_steps": 2000,
}


@pytest.fixture
def address(client: TestClient) -> str:
    return f"/v1/tables/{client.post('/v1/tables', json=GROUPS).json()['digest']}/plot"


@pytest.mark.parametrize(("extension", "media_type"), [("svg", "image/svg+xml"), ("png", "image/png")])
def test_a_picture_is_served_like_a_file(client: TestClient, address: str, extension: str, media_type: str) -> None:
    """It has a length, a tag, and a day in caches; HEAD is the same without the body, and who has it is told so."""
    path = f"{address}.{extension}"
    found, again, head = client.get(path), client.get(path), client.head(path)
    assert (found.status_code, found.headers["content-type"]) == (200, media_type)
    assert found.content == again.content
    assert int(found.headers["content-length"]) == len(found.content)
    assert found.headers["cache-control"] == "public, max-age=86400, no-transform"
    same = ("etag", "content-length", "content-type", "cache-control", "repr-digest")
    assert [head.headers[name] for name in same] == [found.headers[name] for name in same]
    assert head.content == b""
    unchanged = client.get(path, headers={"if-none-match": found.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["cache-control"] == found.headers["cache-control"]
    assert client.get(path, params={"width": 300}).headers["etag"] != found.headers["etag"]
    assert client.get(path.replace(address[11:20], "000000000")).status_code == 404


def test_what_a_query_asks_for_is_drawn(client: TestClient, address: str) -> None:
    """Columns, size, theme, scale and title; by default what changes, under the start of the digest."""
    whole = client.get(f"{address}.svg").text
    assert whole.count("<path") == 2
    assert f"table {address[11:23]}" in whole
    query: dict[str, str | int] = {
        "columns": "lr.1,weight_decay",
        "width": 500,
        "height": 250,
        "theme": "dark",
        "title": "<b>&",
    }
    part = client.get(f"{address}.svg", params=query).text
    assert part.count("<path") == 2
    assert 'width="500" height="250"' in part
    assert "&lt;b&gt;&amp;" in part
    assert "<style" not in part
    assert client.get(f"{address}.svg", params={"columns": "lr"}).text.count("<path") == 2
    image = Image.open(io.BytesIO(client.get(f"{address}.png", params={"width": 300, "scale": 1}).content))
    assert image.width == 300


BAD = [
    ("svg", "columns", "lr,momentum"),
    ("svg", "columns", "lr.2"),
    ("svg", "width", "239"),
    ("svg", "height", "2001"),
    ("svg", "height", "119"),
    ("svg", "theme", "blue"),
    ("svg", "scale", "2"),
    ("svg", "log", "maybe"),
    ("png", "theme", "auto"),
    ("png", "scale", "4"),
    ("png", "title", "x" * 121),
]


def test_a_bad_value_is_named(client: TestClient, address: str) -> None:
    """The problem document has the parameter's name and its value."""
    for extension, name, value in BAD:
        response = client.get(f"{address}.{extension}", params={name: value})
        assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
        (error,) = response.json()["errors"]
        assert (error["parameter"], str(error["value"])[:100]) == (name, value[:100])


def test_an_image_has_a_most_of_pixels(client: TestClient, address: str) -> None:
    """However its size is asked for, an image takes little memory while it is drawn, and a panel has some height."""
    response = client.get(f"{address}.png", params={"width": 2000, "height": 2000, "scale": 3})
    assert response.status_code == 422
    assert response.json()["errors"][0]["parameter"] == "scale"
    low = client.get(f"{address}.svg", params={"columns": "lr,weight_decay", "height": 150}).json()
    assert low["detail"] == "height must be at least 180 for 2 panels, got 150"


def test_a_table_in_the_store_is_drawn_once(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is streamed is drawn from what is read in pieces, and the picture is kept in memory."""
    client = make_client(stream_bytes=100)
    digest = client.post("/v1/tables", json=GROUPS).json()["digest"]
    path = f"/v1/tables/{digest}/plot.svg"
    first = client.get(path)
    assert first.text.count("<path") == 2

    def refuse(*_: Any) -> bytes:
        raise AssertionError("drawn again")

    monkeypatch.setattr(pictures, "draw", refuse)
    assert client.get(path).content == first.content
