"""The page of a server that asks for tokens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from playwright.sync_api import expect

from tests.explorer.conftest import Open, digest
from tests.support.servers.process import ServerProcess


def test_the_page_works_without_a_token_and_asks_where_it_needs_one(open_page: Open, tmp_path: Path) -> None:
    """Curves of the page need no token. What the server must compute does: it is typed once, and kept for the tab."""
    command = [sys.executable, "-m", "service", "token", "create", "reader", "--scope=read", "--scope=compute"]
    words = [*command, "--data-dir", str(tmp_path)]
    token = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[0]
    with ServerProcess(tmp_path, require_tokens=True) as server:
        page = open_page("#kind=torch.CosineAnnealingLR", url=server.url + "/", allowed="401")
        expect(page.locator(".source")).to_have_text("preview, not the bits")
        expect(page.get_by_label("Token", exact=True)).to_be_visible()
        page.evaluate("location.hash = '#kind=Ramp'")
        digest(page)
        page.get_by_role("button", name="Compare with the server").click()
        page.get_by_label("Token", exact=True).fill(token)
        page.get_by_role("button", name="Use it in this tab").click()
        expect(page.get_by_label("Token", exact=True)).to_have_count(0)
        page.get_by_role("button", name="Compare with the server").click()
        expect(page.locator(".checked.same")).to_be_visible()
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 1, ""]
        assert token not in page.url
