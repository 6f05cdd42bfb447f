"""Every way in which the page changes a run, and what it says before and after."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx2
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.explorer.conftest import MARKUP, Open
from tests.support.runs import amend, create, report

REFUSED = "Failed to load resource"  # what the browser's console tells of an answer that is an error


@pytest.fixture
def run(server: httpx2.Client) -> str:
    """A run of this test: 1,000 rows, version 2 with the rate of row 800 held, a worker at 600."""
    name = f"test-{uuid4().hex[:8]}/bert"
    create(server, f"/v1/runs/{name}", rules={"margin_steps": 10, "max_factor": 1000.0})
    amend(server, 1, {"template": "hold", "from_step": 800}, f"/v1/runs/{name}").raise_for_status()
    report(server, "rank-0", 600, f"/v1/runs/{name}")
    return name


def document(server: httpx2.Client, run: str) -> dict[str, Any]:
    found: dict[str, Any] = server.get(f"/v1/runs/{run}").json()
    return found


def steering(open_page: Open, run: str, **options: Any) -> Page:
    """The page of the run with its open form."""
    page = open_page(f"#run={run}", **options)
    page.get_by_text("Steer: change it from a step on").press("Enter")
    expect(page.get_by_role("group", name="Template")).to_be_visible()
    return page


def template(page: Page, name: str) -> None:
    page.get_by_role("group", name="Template").get_by_role("button", name=name).press("Enter")


def field(page: Page, label: str) -> Locator:
    return page.locator(".steer .field", has_text=label).get_by_role("textbox").first


def make(page: Page, said: str, button: str = "Amend now") -> None:
    """Make what is previewed, and wait until the page says so."""
    expect(page.get_by_role("button", name=button)).to_be_enabled()
    page.get_by_role("button", name=button).press("Enter")
    expect(page.locator(".run > [role=status]")).to_have_text(said)
    expect(page.locator("details.steer[open]")).to_have_count(0)


def test_another_tail_a_branch_and_a_roll_back_are_made_with_keys(
    open_page: Open, server: httpx2.Client, run: str
) -> None:
    """A tail has a form as every schedule; a branch lies behind the workers, who go back; a roll-back is previewed."""
    page = steering(open_page, run, allowed=REFUSED)
    expect(field(page, "first row that changes")).to_have_value("611")  # the first that the margin allows
    template(page, "Another tail")
    tail = page.locator(".tail")
    expect(tail.get_by_label("length", exact=True)).to_have_value("389")
    tail.get_by_label("stop", exact=True).fill("0.25")
    expect(page.locator(".effect .same")).to_contain_text("the server proves it, and this page has compared all 611")
    expect(page.locator(".effect")).to_contain_text("is at row 600, 12 before the first change")
    tail.get_by_label("stop", exact=True).fill("-1")
    expect(tail.locator(".error", has_text="stop must be >= 0, got -1")).to_be_visible()
    tail.get_by_label("stop", exact=True).fill("0.25")
    make(page, "The run is at version 3.")
    made = document(server, run)["amendment"]
    assert (made["template"], made["from_step"], made["tail"]["stop"], made["tail"]["length"]) == (
        "tail",
        611,
        0.25,
        389,
    )

    page.get_by_text("Steer: change it from a step on").press("Enter")
    field(page, "first row that changes").fill("400")
    expect(page.locator(".steer .field .error").first).to_contain_text("from_step must be > 610, got 400")
    template(page, "Branch from a step")
    page.locator(".tail").get_by_label("length", exact=True).fill("0")
    expect(page.locator(".effect")).to_contain_text("is at row 600: it has passed the first change")
    page.locator(".tail").get_by_label("length", exact=True).fill("500")
    make(page, "The run is at version 4.")
    assert (document(server, run)["action"], document(server, run)["total_steps"]) == ("rewind", 900)
    expect(page.get_by_text("None has reported its position.")).to_be_visible()

    page.get_by_role("button", name="Roll back to version 2").press("Enter")
    expect(page.get_by_label("version whose table it gets")).to_have_value("2")
    expect(page.locator(".effect .same")).to_contain_text("this page has compared all 401")
    page.get_by_role("textbox", name="reason", exact=True).fill(MARKUP)
    make(page, "The run is at version 5.", "Roll back now")
    made = document(server, run)
    assert (made["action"], made["reason"]) == ("rollback", MARKUP)
    assert made["digest"] == server.get(f"/v1/runs/{run}/versions/2").json()["digest"]


def test_the_ends_and_the_rate_of_a_change_are_dragged(open_page: Open, run: str) -> None:
    """The last row of a cool-down and of a longer run, and the rate of both, are sliders with keys and a pointer."""
    page = steering(open_page, run)
    end, rate = page.get_by_role("slider", name="Last row"), page.get_by_role("slider", name="Rate that it leads to")
    expect(end).to_have_attribute("aria-valuetext", "last row 707")
    end.press("Shift+ArrowRight")
    expect(field(page, "rows of the cool-down")).to_have_value("197")
    rate.press("ArrowUp")
    expect(field(page, "down to the rate")).to_have_value("0.0105")
    rate.press("Home")
    expect(field(page, "down to the rate")).to_have_value("0")
    template(page, "Extend")
    expect(end).to_have_attribute("aria-valuenow", "1099")
    expect(page.locator(".effect")).to_contain_text("100 rows more")
    end.press("ArrowLeft")
    expect(field(page, "rows in all")).to_have_value("1099")
    template(page, "Scale")
    expect(end).to_have_count(0)
    expect(rate).to_have_attribute("aria-valuetext", "times 0.5, to 0.227452")
    box = rate.bounding_box()
    assert box
    page.mouse.move(box["x"] + 11, box["y"] + 11)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] - 75, steps=3)
    page.mouse.up()
    factor = float(field(page, "all later rates times").input_value())
    assert 0.9 < factor < 0.999  # it followed the pointer all the way
    expect(page.locator(".effect")).to_contain_text(f"by a factor of {1 / factor:.6g} at most")
    expect(page.locator(".effect .same")).to_contain_text("has compared all 611")


def test_rules_and_lock_are_set_and_refusals_stand_at_their_fields(
    open_page: Open, server: httpx2.Client, run: str
) -> None:
    """A wrong number is said at its field, by the page or by the server; what others set loses nothing typed."""
    page = open_page(f"#run={run}", allowed=REFUSED)
    page.get_by_text("Guard rails and lock").press("Enter")
    settings = page.locator(".settings")
    largest = settings.get_by_label("largest factor")
    expect(largest).to_have_value("1000")
    largest.fill("many")
    page.get_by_role("button", name="Save the guard rails").press("Enter")
    expect(settings.locator(".field .error", has_text='max_factor must be a number, got "many"')).to_be_visible()
    largest.fill("0.5")
    page.get_by_role("button", name="Save the guard rails").press("Enter")
    expect(settings.locator(".field .error", has_text="0.5")).to_contain_text("1")
    expect(largest).to_have_attribute("aria-invalid", "true")
    largest.fill("2")
    settings.get_by_label("least rate").fill("1e-6")
    rules = {"rules": {"margin_steps": 20}}
    server.patch(f"/v1/runs/{run}", json=rules, headers={"if-match": '"v2"'}).raise_for_status()
    expect(settings.locator("> .error")).to_contain_text("set by somebody else meanwhile: a margin of 20 rows.")
    expect(largest).to_have_value("2")
    settings.get_by_label("reason for the setting").fill("no spikes")
    page.get_by_role("button", name="Save the guard rails").press("Enter")
    done = page.locator(".run > [role=status]")
    expect(done).to_have_text(
        "The guard rails are set: rates at least 1e-6, at most a factor of 2, a margin of 10 rows."
    )
    assert document(server, run)["rules"] == {"min_lr": 1e-6, "max_factor": 2.0, "margin_steps": 10}
    page.get_by_role("button", name="Lock", exact=True).press("Enter")
    expect(page.get_by_text("Locked: nothing of it changes until it is unlocked.")).to_be_visible()
    page.get_by_text("Steer: change it from a step on").press("Enter")
    expect(page.locator(".effect .error").first).to_contain_text(f"the run {run} is locked")
    page.get_by_role("button", name="Amend now").press("Enter")
    expect(page.locator(".steer > .error")).to_contain_text("Not amended: the run is locked.")
    page.get_by_role("button", name="Unlock").press("Enter")
    expect(done).to_have_text("The run is unlocked.")
    assert document(server, run)["locked"] is False


def test_a_worker_is_found_among_many_and_forgotten(open_page: Open, server: httpx2.Client, run: str) -> None:
    """The farthest come first; one is found by its name, and forgotten once that is confirmed."""
    for rank in range(1, 13):
        report(server, f"rank-{rank}", 100 + rank, f"/v1/runs/{run}")
    page = open_page(f"#run={run}")
    rows = page.get_by_role("region", name="Workers").locator("tbody tr")
    expect(rows).to_have_count(13)
    expect(rows.first).to_contain_text("rank-0")
    page.get_by_label("Find a worker").fill("RANK-12")
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Forget rank-12").press("Enter")
    page.get_by_role("button", name="Keep it").press("Enter")
    assert "rank-12" in server.get(f"/v1/runs/{run}/progress").json()["workers"]
    page.get_by_role("button", name="Forget rank-12").press("Enter")
    expect(page.get_by_role("button", name="Forget it")).to_be_focused()
    page.keyboard.press("Enter")
    expect(rows).to_have_count(0)
    assert "rank-12" not in server.get(f"/v1/runs/{run}/progress").json()["workers"]


def test_a_long_list_comes_in_pages_and_stays_when_runs_change(
    open_page: Open, server: httpx2.Client, run: str
) -> None:
    """More of it is asked for; a change by somebody else does not take the pages away, and says that it came."""
    namespace = run.partition("/")[0]
    manifest = server.get(f"/v1/runs/{run}").json()
    for name in [*(f"x{number}" for number in range(26)), "last"]:
        create(server, f"/v1/runs/{namespace}/{name}", digest=manifest["digest"])
    page = open_page()
    page.get_by_role("button", name="Tables and runs").press("Enter")
    page.get_by_label("Part of a name").fill(f"{namespace}/x")
    found = page.get_by_role("list", name="Found").get_by_role("listitem")
    expect(page.get_by_role("link", name=f"{namespace}/x1", exact=True)).to_be_visible()  # the 25th of the search
    page.get_by_role("button", name="More").press("Enter")
    expect(found).to_have_count(26)
    expect(page.get_by_role("link", name=f"{namespace}/x0", exact=True)).to_be_focused()
    expect(page.locator(".live")).to_have_text("live")
    server.patch(f"/v1/runs/{run}", json={"locked": True}, headers={"if-match": '"v2"'}).raise_for_status()
    expect(page.get_by_text("Runs have changed since.")).to_be_visible()
    expect(found).to_have_count(26)
    page.get_by_role("button", name="Load the list again").press("Enter")
    expect(found).to_have_count(25)


def test_a_name_that_is_no_runs_is_not_asked_for(open_page: Open) -> None:
    """It is refused in a sentence; one that might be a run's is asked for once, and its feed rests when refused."""
    asked: list[str] = []
    page = open_page(allowed=REFUSED)
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("location.hash = '#run=team a/b%3Ci%3E'")
    expect(page.locator(".notice")).to_contain_text(
        'a run is called namespace/name, or namespace/name@3, got "team a/b<i>"'
    )
    assert [url for url in asked if "/v1/" in url] == []
    page.route("**/v1/events*", lambda route: route.fulfill(status=422, json={"detail": "run must be another"}))
    page.evaluate("location.hash = '#run=nobody/nothing'")
    expect(page.locator(".live")).to_have_text("not live: run must be another")
    assert len([url for url in asked if "/v1/events" in url]) == 1
