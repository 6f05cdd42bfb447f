"""The page for everybody: no violation of axe, and nothing that a link says is taken for markup."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.explorer.conftest import MARKUP, Open, digest, violations

TWO = "#kind=custom.WarmupWithDecay&kind=Sequence&y=log"


@pytest.mark.parametrize(
    ("colours", "width"), [("light", 1360), ("dark", 1360), ("light", 320)], ids=["light", "dark", "narrow"]
)
def test_axe_finds_no_violation(open_page: Open, colours: str, width: int) -> None:
    """Curves, the search, the table, an error and the paste box: none breaks a rule, in light, dark and narrow."""
    page = open_page("", width=width, color_scheme=colours)
    digest(page)
    assert violations(page) == []
    page.keyboard.press("/")
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.locator("body").press("t")
    page.get_by_role("textbox", name="base_lr").fill("-1")
    assert violations(page) == []
    page.evaluate(f"location.hash = {TWO!r}")
    expect(page.locator("[aria-label=Differences] tbody tr")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Paste", exact=True).click()
    page.get_by_role("textbox", name="Paste").fill("TrainingArguments(learning_rate=1e-4)")
    expect(page.get_by_role("textbox", name="or examples in the training set")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("textbox", name="Paste").fill("step,lr\n0,0.1\n10,0.2\n")
    expect(page.get_by_role("button", name="Go to step 0")).to_be_visible()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_forced_colours_and_reduced_motion_are_honoured(open_page: Open) -> None:
    """With forced colours the curve is drawn in the system's colours; with reduced motion nothing moves."""
    page = open_page("", forced_colors="active", reduced_motion="reduce")
    digest(page)
    style = "getComputedStyle(document.querySelector('.chart'))"
    assert page.evaluate(f"{style}.getPropertyValue('--c0').trim()") == "CanvasText"
    assert page.evaluate(f"{style}.transitionDuration") == "0s"
    drawn = page.evaluate(
        """() => {
            const canvas = document.querySelector('.chart canvas'), context = canvas.getContext('2d');
            return new Set(new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size;
        }"""
    )
    assert drawn > 2


GOOD = {"kind": "Constant", "value": 0.5}


LINKS = [
    (f"#kind={quote(MARKUP)}", "there is no kind of schedule called"),
    (f"#recipe={quote(MARKUP)}", "there is no recipe called"),
    ("#spec=" + quote(json.dumps({"schedule": {"kind": MARKUP}, "total_steps": 5})), MARKUP[:10]),
    ("#spec=" + quote(json.dumps({"schedule": {**GOOD, MARKUP: 1}, "total_steps": 5})), MARKUP[:10]),
    ("#spec=" + quote(json.dumps({"schedule": GOOD, "columns": {MARKUP: GOOD}, "total_steps": 5})), MARKUP[:10]),
    ("#spec=" + quote(json.dumps({"schedule": GOOD, "columns": [1], "total_steps": 5})), "columns"),
    ("#spec=" + quote(json.dumps({"schedule": {**GOOD, "value": MARKUP}, "total_steps": 5})), "value"),
    ("#spec=" + quote(json.dumps({"schedule": {"kind": "Sequence", "schedules": 3}, "total_steps": 5})), "schedules"),
    ("#spec=" + quote(json.dumps({"schedule": {"kind": "__proto__"}, "total_steps": 5})), "__proto__"),
    ("#spec=" + quote("[" * 3000 + "]" * 3000), "a JSON object"),
    ("#spec=" + quote('{"schedule": ' * 999 + "1" + "}" * 999), "levels deep"),
    ("#spec={broken", "not JSON"),
    ("#spec=%zz", "cut short or damaged: it has a % without two hexadecimal digits"),
    ("#spec=%ff", "cut short or damaged: its %XX are not text in UTF-8"),
    ("#spec=" + quote(json.dumps({"schedule": GOOD, "total_steps": 10**9})), "total_steps must be"),
    ("#spec=" + "x" * 1_000_000, "too long"),
    ("#nothing", "the link has no schedule"),
]


def test_what_a_link_says_is_text(open_page: Open) -> None:
    """Markup in a name is shown and not run, and a link that cannot be read is refused in a sentence."""
    page = open_page()
    for fragment, said in LINKS:
        page.evaluate("(fragment) => { location.hash = fragment; }", fragment)
        expect(page.locator("body")).to_contain_text(said)
        assert page.locator("main img, main script, header img").count() == 0
        page.evaluate("location.hash = '#kind=Constant'")
        expect(page.locator(".notice")).to_have_count(0)
