"""The page in a frame of another one, and the image of a table in a README."""

from __future__ import annotations

import re
from functools import partial
from html import unescape

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.explorer.conftest import Open, digest, violations
from tests.support.servers.process import ServerProcess

ELSEWHERE = "http://wiki.test/"


def answer(body: str, route: Route) -> None:
    """Answer a request with a page."""
    route.fulfill(content_type="text/html", body=body)


def code(page: Page, way: str) -> str:
    """The code that the page offers under this name."""
    page.get_by_role("button", name=way, exact=True).click()
    found = page.get_by_label("Code", exact=True)
    expect(found).to_contain_text("http")
    text: str = found.inner_text()
    return text


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_embedded_view_has_the_curve_and_nothing_to_change(open_page: Open, colours: str) -> None:
    """Curve, names, values and a link to the whole page: no form, no runs, no button that a hidden frame could use."""
    page = open_page("?embed=1#kind=custom.WarmupWithDecay&kind=Ramp&y=log", color_scheme=colours, width=700)
    expect(page.locator(".chart.main")).to_be_visible()
    expect(page.locator("#title")).to_contain_text("B  Ramp")
    expect(page.locator(".readout")).to_be_visible()
    assert page.get_by_role("button").count() == page.get_by_role("textbox").count() == 0
    assert page.locator("#runs").count() == 0
    assert violations(page) == []
    page.locator(".chart.main").press("+")
    expect(page).to_have_url(re.compile("view="))
    with page.expect_popup() as popup:
        page.get_by_role("link", name="Open in lrtables").click()
    whole = popup.value
    whole.wait_for_selector("[data-ready]")
    assert whole.url == page.url.replace("?embed=1", "")
    assert whole.get_by_role("button", name="+ Compare").count() == 1


def test_only_the_embedded_view_can_be_framed(browser: Browser, shared_server: ServerProcess) -> None:
    """The own pages may frame it, other sites not; nobody may frame the page with its forms."""
    own, whole = f"{shared_server.url}/?embed=1", f"{shared_server.url}/"
    for site, address, is_shown in ((whole, own, True), (whole, whole, False), (ELSEWHERE, own, False)):
        context = browser.new_context()
        page = context.new_page()
        page.route(f"{site}frame", partial(answer, f'<iframe src="{address}">'))
        page.goto(f"{site}frame")
        page.wait_for_load_state("networkidle")
        frame = page.frame_locator("iframe")
        expect(frame.locator(".chart.main")).to_have_count(int(is_shown))
        context.close()


def test_the_share_panel_has_a_frame_and_an_image_line(open_page: Open, shared_server: ServerProcess) -> None:
    """The frame shows what the page shows, its zoom included; the image is there once its line is."""
    page = open_page("#kind=custom.WarmupWithDecay&y=log")
    found = digest(page)
    frame = code(page, "Embed")
    page.get_by_role("button", name="Zoom in").click()
    expect(page.get_by_label("Code", exact=True)).to_contain_text("view=")
    address = unescape(re.findall('src="([^"]*)"', frame)[0])
    assert address.startswith(f"{shared_server.url}/?embed=1#spec=")
    assert address.endswith("&y=log")
    line = code(page, "Markdown image")
    image, link = re.findall(r"\]\(([^)]*)\)", line)
    assert (image, link) == (f"{shared_server.url}/v1/tables/{found}/plot.svg", f"{shared_server.url}/#table={found}")
    assert b"<path" in shared_server.get(image.removeprefix(shared_server.url))
    page.get_by_role("textbox", name="base_lr").fill("1e-3")
    expect(page.get_by_role("button", name="Python", exact=True)).to_have_attribute("aria-pressed", "true")
