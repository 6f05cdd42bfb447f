"""The explorer's frames and the memory of its tab, for a long table. Run: python benchmarks/explorer_frames.py

Debian's Chromium opens the page of a server of its own and does what a person does: move a slider, move the cursor,
zoom by wheel and by drag, pan, change the scales, compare two curves, walk the boundaries, page through the values. For
each it prints the longest time between two frames of every round (median and worst over the rounds), how many of them
took 100 ms or more, and how long until the curve is the new one. A slow frame is one in which the page could not react.
Playwright must be there: `make explorer` installs it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.servers.process import ServerProcess

CHROMIUM = "/usr/bin/chromium"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
LIMIT = 100  # milliseconds
PATIENCE = 120_000  # milliseconds

# Gaps between frames. Where nothing is to be drawn a frame takes 16 ms; what takes longer kept the page from reacting.
WATCH = """
() => {
  window.frames_ = { gaps: [], last: 0, on: false };
  const tick = (now) => {
    const seen = window.frames_;
    if (seen.on && seen.last) seen.gaps.push(now - seen.last);
    seen.last = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}
"""
BEGIN = "() => Object.assign(window.frames_, { gaps: [], last: 0, on: true })"
END = "() => { window.frames_.on = false; return window.frames_.gaps; }"
# The page is quiet once the curve is that of the form, and no frame was long for a while.
SETTLED = """
() => new Promise((resolve) => {
  const begin = performance.now();
  let quiet = 0, last = begin;
  const look = (now) => {
    const stage = document.getElementById("stage");
    quiet = now - last < 40 && !stage.classList.contains("stale") ? quiet + (now - last) : 0;
    last = now;
    if (quiet > 700 || now - begin > 60000) resolve(now - begin - quiet);
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})
"""

Act = Callable[[Page, int], None]


def specs(rows: int) -> list[dict[str, object]]:
    """Four curves that differ in their warmup."""
    kind = "custom.WarmupWithDecay"
    return [
        {
            "schedule": {"kind": kind, "base_lr": 5e-4, "warmup_steps": rows // part, "total_steps": rows},
            "total_steps": rows,
        }
        for part in (20, 10, 5, 4)
    ]


def box(page: Page) -> dict[str, float]:
    """The place of the large chart in the window."""
    found = page.locator(".chart.main").bounding_box()
    assert found is not None
    return dict(found)


def slide(page: Page, turn: int) -> None:
    """Move the slider of a parameter, notch by notch."""
    page.locator("#form input[type=range]").first.focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight" if turn % 2 else "ArrowLeft")
        page.wait_for_timeout(60)


def hover(page: Page, _: int) -> None:
    """Move the mouse over the curve."""
    place = box(page)
    for part in range(40):
        page.mouse.move(place["x"] + 80 + (place["width"] - 120) * part / 40, place["y"] + place["height"] / 2)


def wheel(page: Page, turn: int) -> None:
    """Zoom in and out again with the wheel."""
    place = box(page)
    page.mouse.move(place["x"] + place["width"] * (0.3 + 0.1 * (turn % 4)), place["y"] + place["height"] / 2)
    for way in (-1, 1):
        for _ in range(12):
            page.mouse.wheel(0, way * 240)
            page.wait_for_timeout(16)


def drag(page: Page, _: int) -> None:
    """Choose a part with the mouse, move it, and go back to the whole."""
    place = box(page)
    left, middle = place["x"] + 80, place["y"] + place["height"] / 2
    page.mouse.move(left + 100, middle)
    page.mouse.down()
    for part in range(10):
        page.mouse.move(left + 100 + 20 * part, middle)
    page.mouse.up()
    for way in (1, 1, -1, -1):
        page.mouse.wheel(way * 200, 0)
        page.wait_for_timeout(16)
    page.keyboard.press("0")


def scale(page: Page, _: int) -> None:
    """Change the scales."""
    for group, name in (("y", "log"), ("y", "asinh"), ("y", "linear"), ("x", "log"), ("x", "linear")):
        page.get_by_role("group", name=group, exact=True).get_by_role("button", name=name, exact=True).click()


def keys(page: Page, _: int) -> None:
    """Move the cursor with the arrows, and from boundary to boundary."""
    page.locator(".chart.main").focus()
    for key in ("End", "ArrowLeft", "ArrowLeft", "Home", "ArrowRight", "PageDown", "PageDown"):
        page.keyboard.press(key)
    for key in "jjjkkk":
        page.keyboard.press(key)


def values(page: Page, _: int) -> None:
    """Open the table of all values, go to its end, and close it."""
    page.locator("body").press("t")
    page.get_by_role("button", name="Last »").click()
    page.locator("body").press("t")


def typed(page: Page, turn: int) -> None:
    """Type another number."""
    field = page.get_by_role("textbox", name="base_lr")
    field.fill(f"{3 + turn % 5}e-4")
    field.press("Enter")


def undo(page: Page, _: int) -> None:
    """Take a change back, and make it again."""
    page.get_by_role("button", name="Undo", exact=True).click()
    page.get_by_role("button", name="Redo", exact=True).click()


def against(page: Page, turn: int) -> None:
    """Show the difference of two curves in another way."""
    ways = ("absolute", "relative", "ULP", "overlay")
    group = page.get_by_role("group", name="difference to A")
    group.get_by_role("button", name=ways[turn % 4], exact=True).click()


ONE: dict[str, Act] = {
    "slider": slide,
    "typed number": typed,
    "undo and redo": undo,
    "cursor by mouse": hover,
    "cursor by keys": keys,
    "zoom by wheel": wheel,
    "zoom by drag, pan": drag,
    "log, asinh, log x": scale,
    "table of values": values,
}
TWO: dict[str, Act] = {
    "two: slider": slide,
    "two: cursor": hover,
    "two: zoom": wheel,
    "two: difference": against,
}
FOUR: dict[str, Act] = {"four: cursor": hover, "four: zoom": wheel, "four: difference": against}
"""As many curves as the page holds at this length."""


@contextmanager
def opened(browser: Browser, url: str, curves: list[dict[str, object]]) -> Iterator[Page]:
    """The page with these curves, once they are drawn."""
    context = browser.new_context(viewport={"width": 1360, "height": 900})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(url + "/#" + "&".join("spec=" + quote(json.dumps(spec)) for spec in curves))
    page.wait_for_selector("[data-ready]")
    page.evaluate(WATCH)
    page.evaluate(SETTLED)
    yield page
    context.close()


def measured(page: Page, act: Act, rounds: int) -> tuple[list[float], int, list[float]]:
    """The longest gap between frames of each round, the number of long ones in all, and the time until all is quiet."""
    longest, long, settled = [], 0, []
    for turn in range(rounds + 1):
        page.evaluate(BEGIN)
        act(page, turn)
        wait = page.evaluate(SETTLED)
        gaps: list[float] = page.evaluate(END)
        if turn:  # the first one also compiles
            longest.append(max(gaps))
            long += sum(gap >= LIMIT for gap in gaps)
            settled.append(wait)
    return longest, long, settled


def memory(page: Page) -> float:
    """MiB of the tab, its workers' and its arrays' included, as the operating system counts them (PSS)."""
    browser = page.context.browser
    assert browser is not None
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    found = [_pss(process["id"]) for process in processes if process["type"] == "renderer"]
    return max(found) / 2**10


def _pss(process: int) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1])


def report(page: Page, acts: dict[str, Act], rounds: int) -> None:
    """Print a row for each interaction."""
    for name, act in acts.items():
        longest, long, settled = measured(page, act, rounds)
        median, worst = statistics.median(longest), max(longest)
        print(
            f"{name:20} {median:8.0f} {worst:8.0f} {long:7} {statistics.median(settled):9.0f} {memory(page):9.0f}",
            flush=True,
        )


def main() -> None:
    """Print the frames of every interaction, with one curve, two and four."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="interactions whose name has this in it")
    options = parser.parse_args()
    curves = specs(options.steps)
    print(f"{options.steps:,} steps, {options.rounds} rounds; longest frame of a round in ms; long: {LIMIT} or more\n")
    print(f"{'interaction':20} {'median':>8} {'worst':>8} {'long':>7} {'quiet ms':>9} {'tab MiB':>9}")
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder)) as server, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        for chosen, acts in ((curves[:1], ONE), (curves[:2], TWO), (curves, FOUR)):
            wanted = {name: act for name, act in acts.items() if options.only in name}
            if wanted:
                with opened(browser, server.url, chosen) as page:
                    report(page, wanted, options.rounds)
        browser.close()


if __name__ == "__main__":
    main()
