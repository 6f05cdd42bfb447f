"""The page of a server that asks for tokens."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass

import httpx2
import pytest
from playwright.sync_api import Page, expect

from service.__main__ import main
from tests.explorer.conftest import Open, digest, expect_address
from tests.support.runs import create
from tests.support.servers.process import ServerProcess

REFUSED = "Failed to load resource"  # what the browser's console tells of an answer that is an error
STEER = "Steer: change it from a step on"


@dataclass(frozen=True)
class Guarded:
    """A server that asks for tokens, with the run team-a/bert, and a token of each scope by that name."""

    url: str
    tokens: dict[str, str]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One server for all tests here, which leave the run at its version."""
    folder, tokens = tmp_path_factory.mktemp("guarded"), {}
    for name in ("read", "compute", "propose", "publish"):
        scopes = ["--scope=read"] if name == "read" else ["--scope=read", f"--scope={name}"]
        with redirect_stdout(io.StringIO()) as printed:
            assert main(["token", "create", name, *scopes, "--data-dir", str(folder)]) == 0
        tokens[name] = printed.getvalue().split()[0]
    with ServerProcess(folder, require_tokens=True) as server:
        headers = {"authorization": f"Bearer {tokens['publish']}"}
        with httpx2.Client(base_url=server.url, timeout=60, headers=headers) as client:
            create(client, reason="first plan", rules={"max_factor": 4.0})
            hold = {"template": "hold", "from_step": 600}
            proposing = {"authorization": f"Bearer {tokens['propose']}", "if-match": '"v1"'}
            client.post("/v1/runs/team-a/bert/proposals", json=hold, headers=proposing).raise_for_status()
        yield Guarded(server.url + "/", tokens)


@pytest.fixture
def open_guarded(open_page: Open, guarded: Guarded) -> Callable[[str], Page]:
    """Open the run with the token of a name, which is asked for and typed."""

    def opened(name: str) -> Page:
        page = open_page("#run=team-a/bert", url=guarded.url, allowed=REFUSED)
        expect(page.get_by_label("Token of the server")).to_be_focused()
        page.get_by_label("Token of the server").fill(guarded.tokens[name])
        page.keyboard.press("Enter")
        expect(page.get_by_role("list", name="History")).to_contain_text("create by publish")
        return page

    return opened


def test_the_page_works_without_a_token_and_asks_where_it_needs_one(open_page: Open, guarded: Guarded) -> None:
    """Curves of the page need no token. What the server must compute does: it is typed once, and kept for the tab."""
    page = open_page("#kind=torch.CosineAnnealingLR", url=guarded.url, allowed="401")
    expect(page.locator(".source")).to_have_text("preview, not the bits")
    expect(page.get_by_label("Token", exact=True)).to_be_visible()
    page.evaluate("location.hash = '#kind=Ramp'")
    digest(page)
    page.get_by_role("button", name="Compare with the server").click()
    page.get_by_label("Token", exact=True).fill(guarded.tokens["compute"])
    page.get_by_role("button", name="Use it in this tab").click()
    expect(page.get_by_label("Token", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Compare with the server").click()
    expect(page.locator(".checked.same")).to_be_visible()
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 1, ""]
    assert guarded.tokens["compute"] not in page.url


def test_who_may_only_read_is_shown_what_holds_and_told_what_is_not_allowed(
    open_guarded: Callable[[str], Page],
) -> None:
    """The link of a run asks for the token and then opens. Rules are text, and no button promises what would fail."""
    page = open_guarded("read")
    expect_address(page, "#run=team-a/bert$")
    page.get_by_text(STEER).press("Enter")
    expect(page.locator(".steer > .error")).to_have_text(
        "Not previewed: this token (read: read) may neither propose nor change anything here"
    )
    expect(page.get_by_role("button", name="Amend now")).to_be_disabled()
    expect(page.get_by_role("button", name="Propose")).to_be_disabled()
    page.get_by_text("Guard rails and lock").press("Enter")
    expect(page.locator(".settings")).to_contain_text("at most a factor of 4")
    expect(page.locator(".settings")).to_contain_text("this token (read: read) may not set them.")
    for name in ("Save the guard rails", "Lock", "Approve", "Forget"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)


def test_who_may_propose_proposes_and_does_not_amend(open_guarded: Callable[[str], Page]) -> None:
    """The dry run is that of a proposal, and what would be refused now is said with the proposal, too."""
    page = open_guarded("propose")
    page.get_by_text(STEER).press("Enter")
    page.get_by_role("button", name="Scale").press("Enter")
    page.get_by_role("textbox", name="all later rates times").fill("0.1")
    expect(page.locator(".effect .error")).to_contain_text("a rate would change by the factor 10, and max_factor is 4")
    expect(page.get_by_role("button", name="Amend now")).to_be_disabled()
    page.get_by_role("button", name="Propose").press("Enter")
    done = page.locator(".run > [role=status]")
    expect(done).to_contain_text("is made. It would be refused now: a rate would change by the factor 10")
    expect(page.get_by_text(STEER)).to_be_focused()


def test_a_token_that_is_not_taken_any_more_loses_nothing(
    open_guarded: Callable[[str], Page], guarded: Guarded
) -> None:
    """It is said in a line, another one is asked for, and what was typed is there and previewed with it."""
    page = open_guarded("publish")
    page.get_by_text(STEER).press("Enter")
    page.get_by_role("button", name="Scale").press("Enter")
    page.get_by_role("textbox", name="reason", exact=True).fill("the loss is flat")
    expect(page.get_by_role("button", name="Amend now")).to_be_enabled()
    page.evaluate("sessionStorage.setItem('lrtables.token', 'lrt_0000000000000000000000')")
    page.get_by_role("textbox", name="all later rates times").fill("0.25")
    said = page.get_by_text("The server does not take the token any more: it was revoked, or has expired.")
    expect(said).to_be_visible()
    expect(page.locator(".steer > .error")).to_contain_text("Not previewed: the server does not take the token.")
    expect(page.get_by_role("button", name="Amend now")).to_be_disabled()
    page.get_by_label("Token of the server").fill(guarded.tokens["publish"])
    page.get_by_role("button", name="Use it", exact=True).press("Enter")
    expect(page.get_by_role("button", name="Amend now")).to_be_enabled()
    expect(said).to_have_count(0)
    expect(page.locator(".live")).to_have_text("live")
    expect(page.locator(".effect")).to_contain_text("by a factor of 4 at most")
    expect(page.get_by_role("textbox", name="reason", exact=True)).to_have_value("the loss is flat")
    assert page.evaluate("sessionStorage.length") == 1
