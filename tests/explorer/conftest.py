"""A real browser for the explorer's tests, and a page in it that must stay within its rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

from tests.support.servers.process import ServerProcess

PATIENCE = 60_000  # milliseconds: a busy machine is no fault of the page
CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
REPORT = "addEventListener('securitypolicyviolation', (e) => console.error('CSP', e.violatedDirective, e.blockedURI))"

MARKUP = "<img src=x onerror=\"console.error('ran')\"><script>console.error('ran')</script>"
"""What is shown as text and never run."""

NOTHING: Mapping[str, str] = {}

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, for all tests of the session."""
    if not CHROMIUM.exists():
        pytest.skip("needs chromium, which this machine lacks")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=OPTIONS)
        yield launched
        launched.close()


@pytest.fixture
def server(shared_server: ServerProcess) -> Iterator[httpx2.Client]:
    """A client of the shared server."""
    with httpx2.Client(base_url=shared_server.url, timeout=60) as client:
        yield client


def _answer(body: str, route: Route) -> None:
    route.fulfill(content_type="text/javascript", body=body)


class Watch:
    """What pages did that they must not: each request elsewhere, each error."""

    def __init__(self, origin: str, allowed: str = "") -> None:
        self.faults: list[str] = []
        self._origin = origin
        self._allowed = allowed

    def page(self, page: Page) -> None:
        """Watch a page."""
        page.on("console", lambda message: self._add(message.type in ("error", "warning"), message.text))
        page.on("pageerror", lambda error: self._add(True, f"uncaught: {error}"))
        page.on("request", lambda request: self._add(self._is_foreign(request.url), f"asked for {request.url[:200]}"))

    def _is_foreign(self, url: str) -> bool:
        return not url.startswith((self._origin, "blob:", "data:"))

    def _add(self, is_fault: bool, text: str) -> None:
        if is_fault and not (self._allowed and self._allowed in text):
            self.faults.append(text)


@pytest.fixture
def open_page(browser: Browser, shared_server: ServerProcess) -> Iterator[Open]:
    """Open the page at a fragment, in a window of a size; afterwards nothing went elsewhere and nothing failed."""
    contexts: list[tuple[BrowserContext, Watch]] = []

    def opened(
        fragment: str = "",
        *,
        url: str = shared_server.url + "/",
        width: int = 1360,
        replaced: Mapping[str, str] = NOTHING,
        allowed: str = "",
        **options: Any,
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        context.set_default_timeout(PATIENCE)
        context.add_init_script(REPORT)
        watch = Watch(url, allowed)
        contexts.append((context, watch))
        page = context.new_page()
        watch.page(page)
        for path, body in replaced.items():
            page.route(f"**/{path}", partial(_answer, body))
        page.goto(url + fragment)
        page.wait_for_selector("[data-ready]")
        return page

    yield opened
    for context, _ in contexts:
        context.close()
    assert [fault for _, watch in contexts for fault in watch.faults] == []


def digest(page: Page) -> str:
    """The digest that the page shows, once it has one of 64 digits."""
    expect(page.locator("#digest")).to_have_text(re.compile("^[0-9a-f]{64}$"))
    shown: str = page.inner_text("#digest")
    return shown


def expect_digest(page: Page, wanted: str) -> None:
    """Wait until the page shows this digest."""
    expect(page.locator("#digest")).to_have_text(wanted)


def expect_address(page: Page, pattern: str) -> None:
    """Wait until the address matches a regular expression."""
    expect(page).to_have_url(re.compile(pattern))


def violations(page: Page) -> list[Any]:
    """The rules that the page breaks, and where."""
    page.wait_for_function("document.getAnimations().length === 0")  # people do not read a transition's colours
    found = Axe().run(page).response["violations"]
    return [(each["id"], [node["target"] for node in each["nodes"]][:5]) for each in found]
