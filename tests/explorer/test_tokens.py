"""The page of a server that asks for tokens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx2
from playwright.sync_api import expect

from tests.explorer.conftest import Open, digest, expect_address
from tests.support.runs import create
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


def test_runs_ask_for_a_token_and_say_what_it_does_not_allow(open_page: Open, tmp_path: Path) -> None:
    """The link of a run asks for the token and then opens; what the token may not do is said beside the button."""
    tokens = {}
    for name in ("read", "publish"):
        words = [sys.executable, "-m", "service", "token", "create", name, f"--scope={name}"]
        done = subprocess.run([*words, "--data-dir", str(tmp_path)], capture_output=True, text=True, check=True)
        tokens[name] = done.stdout.split()[0]
    with ServerProcess(tmp_path, require_tokens=True) as server:
        headers = {"authorization": f"Bearer {tokens['publish']}"}
        with httpx2.Client(base_url=server.url, timeout=60, headers=headers) as client:
            create(client, reason="first plan")
        page = open_page("#run=team-a/bert", url=server.url + "/", allowed="Failed to load resource")
        page.get_by_label("Token of the server").fill(tokens["read"])
        page.get_by_role("button", name="Use it", exact=True).press("Enter")
        expect(page.get_by_role("list", name="History")).to_contain_text("create by publish")
        expect_address(page, "#run=team-a/bert$")
        page.get_by_text("Steer: change it from a step on").press("Enter")
        expect(page.locator(".steer > .error")).to_contain_text("Not previewed: the token does not allow it.")
        expect(page.get_by_role("button", name="Amend now")).to_be_disabled()
