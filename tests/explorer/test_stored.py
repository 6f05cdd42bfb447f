"""Tables that the server keeps: the page proves the values that came, and finds the table that a Literal names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from scheduler import Table
from service.explorer.static import write_static
from tests.explorer.conftest import Open, expect_digest

SAFETENSORS = {"content-type": "application/vnd.safetensors"}
PROVED = "✓ the values that came have this digest"


@pytest.fixture
def stored(server: httpx2.Client) -> Table:
    """A table of groups and another column that the server was given by its values."""
    rates = np.linspace(0.5, 0.25, 50)
    columns = {f"lr.{group}": rates * (group + 1) for group in range(11)} | {"momentum": rates}
    table = Table(columns, axis="token", stride=1000, after="release")
    server.put("/v1/tables", content=table.to_bytes(), headers=SAFETENSORS).raise_for_status()
    return table


def test_the_digest_of_what_came_is_computed_in_the_page(open_page: Open, stored: Table) -> None:
    """The mark is green for the values of the table, whatever its layout, and red where a bit differs."""
    page = open_page(f"#table={stored.digest}")
    expect(page.locator(".checked.same")).to_have_text(PROVED)
    changed = open_page()
    changed.route("**/*.safetensors", _one_bit_more)
    changed.evaluate(f"location.hash = 'table={stored.digest}'")
    expect_digest(changed, stored.digest)
    expect(changed.locator(".checked.differs")).to_contain_text("✗ the values that came have the digest ")


def _one_bit_more(route: Route) -> None:
    response = route.fetch()
    body = response.body()
    route.fulfill(response=response, body=body[:-8] + bytes([body[-8] ^ 1]) + body[-7:])


def test_a_table_that_is_too_large_is_named_and_not_fetched(open_page: Open, stored: Table) -> None:
    """Of a table that would fill the tab's memory the page says the digest, and that it was not checked."""
    page = open_page()
    page.route("**/manifest", _much_longer)
    page.evaluate(f"location.hash = 'table={stored.digest}'")
    notice = page.locator(".notice")
    expect(notice).to_contain_text("This table is too large to be fetched")
    expect(notice).to_contain_text(stored.digest)


def _much_longer(route: Route) -> None:
    response = route.fetch()
    route.fulfill(response=response, json={**response.json(), "total_steps": 30_000_000})


def test_a_literal_is_looked_up_where_there_is_a_server(open_page: Open, stored: Table, tmp_path: Path) -> None:
    """A link with a Literal shows the server's values of it; without a server the page says that it cannot."""
    data: dict[str, Any] = {"kind": "Literal", "digest": stored.digest, "column": "momentum"}
    spec = {"schedule": data, "total_steps": 40}
    page = open_page(_link(spec))
    expect(page.locator(".source")).to_have_text("values from the server")
    expected = Table({"lr": stored.columns["momentum"][:40]}).digest
    expect_digest(page, expected)
    expect(page.locator(".checked.same")).to_have_text(PROVED)
    alone: Page = open_page(_link(spec), url=write_static(tmp_path).as_uri())
    expect(alone.locator(".notice")).to_contain_text("tables are on a server, and this page runs without one")


def _link(spec: dict[str, Any]) -> str:
    return f"#spec={quote(json.dumps(spec))}"
