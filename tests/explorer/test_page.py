"""The page in a real browser, with a real server."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from scheduler import KINDS, Spec
from scheduler.custom import WarmupWithDecay
from scheduler.recipes import RECIPES
from service.explorer.assets import assets
from tests.explorer.conftest import Open, digest, expect_address, expect_digest

SCHEDULE = {"kind": "custom.WarmupWithDecay", "base_lr": 5e-4, "warmup_steps": 10, "total_steps": 100, "min_lr": 1e-6}


def spec_of(total_steps: int = 100, **changed: Any) -> dict[str, Any]:
    return {"schedule": {**SCHEDULE, "total_steps": total_steps, **changed}, "total_steps": total_steps}


def link(*specs: dict[str, Any], rest: str = "") -> str:
    return "#" + "&".join(f"spec={quote(json.dumps(spec))}" for spec in specs) + rest


def python_digest(spec: dict[str, Any]) -> str:
    return Spec.model_validate_json(json.dumps(spec)).table().digest


def exact_values(page: Page) -> list[str]:
    """What the cursor reads: the step, then a value for each curve."""
    shown: list[str] = page.locator(".readout dd").all_inner_texts()
    return shown


def test_a_schedule_is_found_opened_and_linked_without_a_mouse(open_page: Open) -> None:
    """`/`, a few letters and Enter open a kind; every kind and recipe has a link of its own."""
    page = open_page()
    page.keyboard.press("/")
    links = page.eval_on_selector_all("[role=listbox] a", "links => links.map((link) => link.getAttribute('href'))")
    expected = [f"#kind={kind}" for kind in KINDS] + [f"#recipe={name}" for name in RECIPES]
    assert links == expected[: len(links)]
    page.keyboard.type("llama 3 405")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="llama-3-405b")).to_be_visible()
    expect_digest(page, RECIPES["llama-3-405b"].spec.table().digest)


def test_the_search_knows_the_names_that_people_type(open_page: Open) -> None:
    """An alias finds its kind first; of a scheduler that is no schedule the search says why."""
    page = open_page()
    page.keyboard.press("/")
    for typed, expected in (("wsd", "transformers.warmup_stable_decay"), ("one cycle", "torch.OneCycleLR")):
        page.get_by_role("combobox", name="Find a schedule").fill(typed)
        expect(page.get_by_role("option").first).to_contain_text(expected)
    page.get_by_role("combobox", name="Find a schedule").fill("ReduceLROnPlateau")
    expect(page.get_by_role("listbox")).to_contain_text("its rates follow the metrics")


def test_the_digest_is_computed_in_the_page_and_equals_the_servers(open_page: Open) -> None:
    """The page shows Python's digest, and a green mark once the server was asked for its own."""
    page = open_page(link(spec_of()))
    assert digest(page) == python_digest(spec_of())
    page.get_by_role("button", name="Compare with the server").click()
    expect(page.locator(".checked.same")).to_have_text("✓ equal to the server's")


def test_a_kernel_with_one_other_bit_is_not_used(open_page: Open) -> None:
    """A kernel that fails its own test is not used, and the page says so; its values come from the server."""
    path = "explorer/kernel/numerics/portable.js"
    source = assets()["kernel/numerics/portable.js"].body.decode()
    changed = source.replace("* span + anchor;", "* span * (1 + 2 ** -52) + anchor;")
    assert changed != source
    page = open_page(link(spec_of()), replaced={path: changed})
    expect(page.locator(".notice")).to_contain_text("differs from ours")
    expect(page.locator(".source")).to_have_text("values from the server")
    expect_digest(page, python_digest(spec_of()))


def test_a_typed_value_draws_at_once_and_is_undone(open_page: Open) -> None:
    """A parameter changes the table at once; Ctrl+Z takes it back; a length that was the table's stays it."""
    page = open_page(link(spec_of()))
    before = digest(page)
    page.get_by_role("textbox", name="base_lr").fill("1e-3")
    expect_digest(page, python_digest(spec_of(base_lr=1e-3)))
    page.get_by_role("textbox", name="base_lr").blur()
    page.keyboard.press("Control+z")
    expect_digest(page, before)
    page.locator('[data-pointer="/schedule/total_steps"] input[type=text]').fill("200")
    expect_digest(page, python_digest(spec_of(200)))


def test_a_slider_moves_the_curve_at_every_event(open_page: Open) -> None:
    """Each notch of a slider changes the value beside it and the table, and the whole pull is undone at once."""
    page = open_page(link(spec_of()))
    before = digest(page)
    slider = page.get_by_role("slider", name="min_lr, slider")
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    value = float(page.get_by_role("textbox", name="min_lr").input_value())
    assert value > 1e-6
    expect_digest(page, python_digest(spec_of(min_lr=value)))
    page.keyboard.press("Control+z")
    expect_digest(page, before)


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("base_lr", "fast", "base_lr must be a number, got"),
        ("base_lr", "-1", "base_lr must be >= 0, got -1"),
        ("warmup_steps", "2.5", "warmup_steps must be a whole number, got 2.5"),
        ("warmup_steps", "101", "warmup_steps"),
    ],
)
def test_an_error_stands_at_its_field(open_page: Open, name: str, typed: str, said: str) -> None:
    """A value that cannot be is named at its field, which is marked as invalid; the last good curve stays."""
    page = open_page(link(spec_of()))
    digest(page)
    field = page.locator(f'[data-pointer="/schedule/{name}"]')
    field.get_by_role("textbox").fill(typed)
    expect(field.locator(".error")).to_contain_text(said)
    expect(field.get_by_role("textbox")).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".chart canvas")).to_be_visible()


def test_nested_schedules_are_cards(open_page: Open) -> None:
    """A part of a composite is changed, added and removed; the table is always that of the spec in the address."""
    page = open_page("#kind=Sequence")
    page.locator('[data-pointer="/schedule/schedules/2/length"] input[type=text]').fill("1000")
    page.locator('[data-pointer="/schedule/lengths"] input').fill("1000, 7000")
    page.get_by_role("button", name="Remove schedules 2").click()
    page.get_by_role("button", name="Add to schedules").click()
    page.locator('[data-pointer="/schedule/lengths"] input').fill("1000, 500")
    expect_address(page, r"%22lengths%22:%5B1000,500%5D")
    spec = json.loads(page.evaluate("decodeURIComponent(location.hash.slice('#spec='.length))"))
    assert [part["kind"] for part in spec["schedule"]["schedules"]] == ["custom.LinearWarmup", "Ramp", "Ramp"]
    spec["total_steps"] = 2500
    page.locator('[data-pointer="/total_steps"] input[type=text]').fill("2500")
    expect_digest(page, python_digest(spec))


def test_boundaries_have_exact_values(open_page: Open) -> None:
    """The values before, at and after each boundary are the table's, to the last bit."""
    page = open_page(link(spec_of()))
    digest(page)
    values = WarmupWithDecay(5e-4, 10, 100, min_lr=1e-6).columns(100)["lr"]
    rows = page.locator("[aria-label=Boundaries] tbody tr").all()
    steps = [int(row.locator("th").inner_text().replace(",", "")) for row in rows]
    assert {0, 10, 99} <= set(steps)
    for step, row in zip(steps, rows, strict=True):
        shown = [text and float(text) for text in row.locator("td.number").all_inner_texts()]
        assert shown == [values[at] if 0 <= at < 100 else "" for at in (step - 1, step, step + 1)]


def test_everything_is_done_with_keys(open_page: Open) -> None:
    """Arrows move the cursor, J and K go between boundaries, + - 0 zoom, T opens the table at the cursor."""
    page = open_page(link(spec_of(1000)))
    digest(page)
    chart = page.locator(".chart.main")
    chart.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(chart).to_have_attribute("aria-valuenow", "101")
    page.keyboard.press("k")
    expect(chart).to_have_attribute("aria-valuenow", "10")
    page.keyboard.press("j")
    expect(chart).to_have_attribute("aria-valuenow", "999")
    expect(page.locator("#live")).to_contain_text("step 999")
    page.keyboard.press("+")
    expect_address(page, r"view=\d+-999")
    page.keyboard.press("0")
    expect_address(page, "^((?!view=).)*$")
    page.keyboard.press("t")
    expect(page.locator("[aria-label='Table of values'] tbody tr").last).to_contain_text("999")
    shown = page.locator("[aria-label='Table of values'] tbody td").last.inner_text()
    assert float(shown) == WarmupWithDecay(5e-4, 10, 1000, min_lr=1e-6).columns(1000)["lr"][-1]


def test_the_mouse_and_fingers_zoom(open_page: Open) -> None:
    """A drag shows the rows under it, the wheel zooms around the pointer, two fingers too; a double click shows all."""
    page = open_page(link(spec_of(1000)), has_touch=True)
    digest(page)
    box = page.locator(".chart.main").bounding_box()
    assert box is not None
    left, width, height = box["x"] + 64, box["width"] - 78, box["y"] + 100
    page.mouse.move(left + width * 0.2, height)
    page.mouse.down()
    page.mouse.move(left + width * 0.4, height, steps=3)
    page.mouse.up()
    expect_address(page, r"view=(199|200)-(399|400)$")
    page.mouse.dblclick(left + width * 0.5, height)
    expect_address(page, "^((?!view=).)*$")
    page.mouse.wheel(0, -200)
    expect_address(page, r"view=[12]\d\d-[78]\d\d$")
    page.mouse.dblclick(left + width * 0.5, height)
    expect_address(page, "^((?!view=).)*$")
    touch = page.context.new_cdp_session(page)
    for event, places in (
        ("touchStart", (0.4, 0.6)),
        ("touchMove", (0.3, 0.7)),
        ("touchMove", (0.2, 0.8)),
        ("touchEnd", ()),
    ):
        points = [{"x": left + width * place, "y": height, "id": finger} for finger, place in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": event, "touchPoints": points})
    expect_address(page, r"view=3\d\d-6\d\d$")


def test_the_whole_state_is_in_the_address(open_page: Open) -> None:
    """Another window with the same address shows the same: curves, scales, zoom and the active curve."""
    page = open_page(link(spec_of(), spec_of(base_lr=2e-3), rest="&active=1&y=log&x=log&against=ulp&view=5-50"))
    digest(page)
    address = page.evaluate("location.hash")
    other = open_page(address)
    assert other.evaluate("location.hash") == address
    pressed = "buttons => buttons.map((button) => button.textContent)"
    assert other.eval_on_selector_all("[aria-pressed=true]", pressed) == [
        "B  custom.WarmupWithDecay",
        "log",
        "log",
        "ULP",
        "Python",
    ]
    assert digest(other) == python_digest(spec_of(base_lr=2e-3))


def test_curves_are_compared(open_page: Open) -> None:
    """An edited curve is copied as it is; the copy, times four, is called so; the first differing step leads there."""
    page = open_page(link(spec_of()))
    digest(page)
    base_lr = page.get_by_role("textbox", name="base_lr")
    base_lr.fill("1e-3")
    page.get_by_role("button", name="+ Compare").click()
    expect(base_lr).to_have_value("0.001")
    base_lr.fill("4e-3")
    page.get_by_role("textbox", name="min_lr").fill("4e-6")
    row = page.locator("[aria-label=Differences] tbody tr")
    expect(row).to_contain_text("times 4")
    row.get_by_role("button").first.click()
    assert exact_values(page)[0] == row.get_by_role("button").first.inner_text()
    page.get_by_role("button", name="Remove curve A").click()
    expect(base_lr).to_have_value("0.004")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Remove curve B").click()
    expect(base_lr).to_have_value("0.001")


def test_columns_and_groups_are_small_multiples_with_one_cursor(open_page: Open) -> None:
    """Each column has a chart, groups share it, and the cursor is the same in all."""
    spec = spec_of()
    grouped = {**spec, "schedule": [spec["schedule"], {**SCHEDULE, "base_lr": 1e-3}]}
    grouped["columns"] = {"weight_decay": {"kind": "Constant", "value": 0.1}}
    page = open_page(link(grouped))
    assert digest(page) == python_digest(grouped)
    expect(page.locator(".chart")).to_have_count(2)
    page.locator(".chart").nth(1).focus()
    page.keyboard.press("ArrowRight")
    table = Spec.model_validate_json(json.dumps(grouped)).table()
    assert [float(text) for text in exact_values(page)] == [
        1,
        *(float(table.columns[name][1]) for name in table.columns),
    ]


def test_kinds_that_need_the_c_library_come_from_the_server(open_page: Open) -> None:
    """A twin's values are the server's, with the server's digest, and are called so; also after a slider was moved."""
    page = open_page("#kind=torch.CosineAnnealingLR")
    expect(page.locator(".source")).to_have_text("values from the server")
    slider = page.get_by_role("slider", name="base_lr, slider")
    slider.evaluate("(slider) => { slider.value = 400; slider.dispatchEvent(new Event('input')); }")
    expect(page.locator(".source")).to_have_text("preview, not the bits")  # the server keeps what it computes
    slider.evaluate("(slider) => slider.dispatchEvent(new Event('change'))")
    expect(page.locator(".source")).to_have_text("values from the server")
    spec = json.loads(page.evaluate("decodeURIComponent(location.hash.slice('#spec='.length))"))
    expect_digest(page, python_digest(spec))
