"""Tables and runs in the page, in a real browser, with a real server."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx2
import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from scheduler import Table
from tests.explorer.conftest import MARKUP, Open, digest, expect_address, expect_digest, violations
from tests.support.runs import amend, create, report

COOLDOWN = {"template": "cooldown", "from_step": 700, "length": 200}
SAFETENSORS = {"content-type": "application/vnd.safetensors"}
CONFLICT = "409"  # the browser's console tells of each answer that is an error


@pytest.fixture
def run(server: httpx2.Client) -> str:
    """A run of this test: 1,000 rows, of which a cool-down from row 700 on has left 900."""
    name = f"test-{uuid4().hex[:8]}/bert"
    create(server, f"/v1/runs/{name}", reason=f"first plan {MARKUP}", rules={"margin_steps": 10})
    response = amend(server, 1, COOLDOWN, f"/v1/runs/{name}", reason="the loss is flat")
    assert response.status_code == 201, response.text
    return name


def document(server: httpx2.Client, run: str) -> dict[str, Any]:
    found: dict[str, Any] = server.get(f"/v1/runs/{run}").json()
    return found


def open_run(open_page: Open, run: str, **options: Any) -> Page:
    page = open_page(f"#run={run}", **options)
    expect(page.get_by_role("list", name="History").get_by_role("listitem").first).to_be_visible()
    return page


def test_runs_and_tables_are_found_and_opened_with_keys(open_page: Open, server: httpx2.Client, run: str) -> None:
    """A run is found by its name and opened by its link; so is its table, by its digest. Values are the server's."""
    wanted = document(server, run)["digest"]
    page = open_page()
    page.get_by_role("button", name="Tables and runs").press("Enter")
    find = page.get_by_label("Part of a name")
    find.fill(f"BERT {run.partition('/')[0]}")
    page.get_by_role("link", name=run).press("Enter")
    expect_digest(page, wanted)
    expect_address(page, f"#run={run}$")
    expect(page.locator(".source")).to_have_text("values from the server")
    page.get_by_role("button", name="All runs and tables").press("Enter")
    expect(find).to_be_focused()
    page.get_by_role("button", name="Tables", exact=True).press("Enter")
    find.fill("0" * 16)
    expect(page.get_by_text("No table is called so.")).to_be_visible()
    find.fill(wanted[:12])
    page.get_by_role("link", name=wanted[:16]).press("Enter")
    expect_address(page, f"#table={wanted}$")
    expect_digest(page, wanted)


def test_a_table_without_a_spec_is_drawn_from_its_values(open_page: Open, server: httpx2.Client) -> None:
    """A link to a table that was published by its values shows these, with its digest."""
    table = Table({"lr.0": np.array([0.5, 0.25]), "lr.1": np.array([0.125, 0.0625]), "momentum": np.array([0.5, 1.0])})
    server.put("/v1/tables", content=table.to_bytes(), headers=SAFETENSORS).raise_for_status()
    page = open_page(f"#table={table.digest}")
    expect_digest(page, table.digest)
    page.locator(".chart.main").press("End")
    assert page.locator(".readout dd").all_inner_texts()[1:3] == ["0.25000000000000000", "0.062500000000000000"]


def test_a_runs_history_is_text_and_versions_are_compared(open_page: Open, server: httpx2.Client, run: str) -> None:
    """History and reasons are shown as text; two versions are compared in the chart, and the link says both."""
    page = open_run(open_page, run)
    history = page.get_by_role("list", name="History")
    expect(history).to_contain_text("from step 700 on: cool down to 0 over 200 steps (linear)")
    expect(history).to_contain_text("the loss is flat")
    expect(history).to_contain_text(MARKUP)
    assert page.locator("main img, main script").count() == 0
    page.get_by_role("button", name="Compare with version 1").press("Enter")
    expect_address(page, f"#run={run}&run={run}@1$")
    expect(page.locator("[aria-label=Differences] tbody tr")).to_contain_text("equal before that")
    other = open_page(f"#run={run}@1")
    assert digest(other) == server.get(f"/v1/runs/{run}/versions/1").json()["digest"]


def test_workers_and_changes_are_followed_live(open_page: Open, server: httpx2.Client, run: str) -> None:
    """Workers stand in a table and on the curve; a change by somebody else is drawn without a reload."""
    path = f"/v1/runs/{run}"
    report(server, "rank-0", 310, path)
    page = open_run(open_page, run)
    expect(page.get_by_role("region", name="Workers")).to_contain_text("rank-0")
    expect(page.locator(".live")).to_have_text("live")
    assert amend(server, 2, {"template": "hold", "from_step": 600}, path, reason="wait").status_code == 201
    expect(page.get_by_role("list", name="History")).to_contain_text("wait")
    expect_digest(page, document(server, run)["digest"])
    page.get_by_role("button", name="Go to 310").press("Enter")
    expect(page.locator(".chart.main")).to_have_attribute("aria-valuenow", "310")


def test_the_feed_rests_while_the_tab_is_hidden_and_comes_back(
    open_page: Open, server: httpx2.Client, run: str
) -> None:
    """A hidden tab asks for nothing and misses nothing; an outage is said, and ends by itself."""
    page = open_run(open_page, run, allowed="ERR_FAILED")
    expect(page.locator(".live")).to_have_text("live")
    hide = "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
    hide += "document.dispatchEvent(new Event('visibilitychange')); }"
    with page.expect_event("requestfailed", lambda request: "/v1/changes" in request.url):
        page.evaluate(hide, True)
    assert amend(server, 2, {"template": "hold", "from_step": 600}, f"/v1/runs/{run}", reason="wait").status_code == 201
    page.route("**/v1/changes*", lambda route: route.abort())
    page.evaluate(hide, False)
    expect(page.locator(".live")).to_contain_text("not live: the server does not answer; the next attempt is in 1 s")
    page.unroute("**/v1/changes*")
    expect(page.get_by_role("list", name="History")).to_contain_text("wait")


def test_a_run_that_moved_on_is_not_changed(open_page: Open, server: httpx2.Client, run: str) -> None:
    """What was previewed is proposed or made for the version that was seen: for another one the answer is said."""
    page = open_run(open_page, run, allowed="Failed to load resource")
    page.get_by_text("Steer: change it from a step on").press("Enter")
    expect(page.get_by_role("button", name="Amend now")).to_be_enabled()
    page.route("**/versions?*", lambda route: route.abort())  # so that the page does not learn of the change
    assert amend(server, 2, {"template": "hold", "from_step": 600}, f"/v1/runs/{run}", reason="wait").status_code == 201
    page.get_by_role("button", name="Amend now").press("Enter")
    expect(page.locator(".steer > .error")).to_contain_text("Not amended: the run has moved on.")
    assert document(server, run)["version"] == 3


def test_a_change_whose_answer_is_lost_is_made_once(open_page: Open, server: httpx2.Client, run: str) -> None:
    """The amendment landed and its answer did not: the page looks for it, and neither repeats it nor says an error."""

    def lose(route: Route) -> None:
        if "dry_run" in (route.request.post_data or ""):
            route.continue_()
        else:
            route.fetch()
            route.abort()

    page = open_run(open_page, run, allowed="ERR_FAILED")
    page.get_by_text("Steer: change it from a step on").press("Enter")
    page.route("**/amendments", lose)
    page.get_by_role("textbox", name="reason", exact=True).fill("the loss is flat again")
    page.get_by_role("button", name="Amend now").click()
    expect(page.get_by_role("list", name="History")).to_contain_text("the loss is flat again")
    expect(page.locator("details.steer[open]")).to_have_count(0)
    expect(page.locator(".steer > .error")).to_have_text("")
    assert document(server, run)["version"] == 3


def test_a_run_is_steered_with_keys(open_page: Open, server: httpx2.Client, run: str) -> None:
    """The handle sets the step, a dry run shows what keeps its bits, and the amendment lands with its reason."""
    page = open_run(open_page, run)
    page.get_by_text("Steer: change it from a step on").press("Enter")
    page.get_by_role("button", name="Scale").press("Enter")
    handle = page.get_by_role("slider", name="First row that changes")
    handle.press("Shift+ArrowRight")
    expect(page.get_by_role("textbox", name="first row that changes")).to_have_value("550")
    expect(page.locator(".effect .same")).to_contain_text("has compared all 550")
    expect(page.locator("[aria-label=Differences] tbody tr")).to_contain_text("equal before that")
    page.get_by_role("textbox", name="reason").fill("half the rate")
    page.get_by_role("button", name="Propose").press("Enter")
    page.get_by_role("button", name="Preview proposal 1").press("Enter")
    expect(page.get_by_role("textbox", name="first row that changes")).to_have_value("550")
    expect(page.locator(".effect .same")).to_contain_text("has compared all 550")
    page.get_by_role("button", name="Approve proposal 1").press("Enter")
    expect(page.get_by_role("list", name="History")).to_contain_text("all rates times 0.5")
    made = document(server, run)
    assert made["version"] == 3
    assert made["amendment"] == {"template": "scale", "from_step": 550, "factor": 0.5}
    assert made["reason"] == "half the rate"
    expect_digest(page, made["digest"])


def test_why_a_change_is_refused_stands_beside_its_button(open_page: Open, server: httpx2.Client, run: str) -> None:
    """Behind a worker nothing is changed; a wrong number is said at its field; the handle is dragged."""
    path = f"/v1/runs/{run}"
    report(server, "rank-0", 600, path)
    hold = {"template": "hold", "from_step": 300}
    server.post(f"{path}/proposals", json=hold, headers={"if-match": '"v2"'}).raise_for_status()
    page = open_run(open_page, run, allowed=CONFLICT)
    page.get_by_text("Steer: change it from a step on").press("Enter")
    page.get_by_role("textbox", name="rows of the cool-down").fill("many")
    expect(page.locator(".steer .field .error").nth(1)).to_contain_text("must be a number")
    page.get_by_role("textbox", name="rows of the cool-down").fill("50")
    expect(page.locator(".readout dd")).to_have_count(3)  # the preview's curve is there, and nothing moves any more
    page.wait_for_timeout(1000)  # the feed's news of the proposal may still come, and would take the drag's place
    box = page.get_by_role("slider", name="First row that changes").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 11, box["y"] + box["height"] - 8)
    page.mouse.down()
    page.mouse.move(box["x"] - 80, box["y"] + 50, steps=3)
    page.mouse.up()
    assert int(page.get_by_role("textbox", name="first row that changes").input_value()) < 611
    refused = page.locator(".steer .field", has_text="first row that changes").locator(".error")
    expect(refused).to_contain_text("It would be refused now: from_step must be > 610")
    expect(refused).to_contain_text("the worker rank-0 has reported step 600")
    page.get_by_role("button", name="Amend now").press("Enter")
    expect(page.locator(".steer > .error")).to_contain_text("Not amended, it would break a rule of the run: from_step")
    page.get_by_role("button", name="Approve proposal 1").press("Enter")
    proposals = page.get_by_role("list", name="Proposals")
    expect(proposals).to_contain_text("Not approved, it would break a rule of the run: from_step")
    page.get_by_role("textbox", name="Reason for the decision").fill("too late")
    page.get_by_role("button", name="Reject proposal 1").press("Enter")
    expect(proposals).to_have_count(0)
    assert document(server, run)["version"] == 2
    assert server.get("/v1/changes", params={"run": run}).json()["changes"][-1]["reason"] == "too late"


@pytest.mark.parametrize(("colours", "width"), [("light", 320), ("dark", 1360)], ids=["narrow", "dark"])
def test_axe_finds_no_violation_in_runs(
    open_page: Open, server: httpx2.Client, run: str, colours: str, width: int
) -> None:
    """The list, and a run with all that opens, break no rule, and nothing is wider than the window."""
    report(server, "rank-0", 310, f"/v1/runs/{run}")
    page = open_run(open_page, run, width=width, color_scheme=colours)
    page.get_by_text("Guard rails and lock").press("Enter")
    page.get_by_role("button", name="Forget rank-0").press("Enter")
    page.get_by_text("Steer: change it from a step on").press("Enter")
    expect(page.locator(".effect .same")).to_be_visible()  # with three handles
    assert violations(page) == []
    page.get_by_role("button", name="Another tail").press("Enter")
    expect(page.locator(".effect:not(.past) .same")).to_be_visible()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="All runs and tables").press("Enter")
    expect(page.get_by_role("link", name=run)).to_be_visible()
    assert violations(page) == []
