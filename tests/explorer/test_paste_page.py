"""The paste box in a real browser: what it recognises is shown, what is missing is asked for, and text stays text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Page, expect

from scheduler import Spec
from scheduler.libraries.transformers import from_training_arguments
from service.explorer.static import write_static
from tests.explorer.conftest import MARKUP, Open, digest, expect_address, expect_digest

PLAN: dict[str, Any] = {
    "schedule": {"kind": "custom.WarmupWithDecay", "base_lr": 5e-4, "warmup_steps": 40, "total_steps": 400},
    "total_steps": 400,
}
RATES = Spec.model_validate_json(json.dumps(PLAN)).table().columns["lr"].tolist()


def trainer_state(wrong_from: int) -> str:
    """A Trainer's state whose rates, of four digits, are twice the plan's from a step on."""
    steps = range(10, 400, 10)
    rates = [RATES[step - 1] * (2 if step >= wrong_from else 1) for step in steps]
    history = [{"step": step, "learning_rate": float(f"{rate:.4g}")} for step, rate in zip(steps, rates, strict=True)]
    return json.dumps({"log_history": history})


def box(page: Page) -> Any:
    """The open paste box."""
    field = page.get_by_role("textbox", name="Paste")
    if not field.is_visible():
        page.get_by_role("button", name="Paste", exact=True).press("Enter")
        expect(field).to_be_focused()
    return field


def said(page: Page) -> Any:
    """The part of the page that a screen reader is told of."""
    return page.locator("#paste [role=status]")


def test_a_configuration_becomes_a_curve_and_what_is_missing_is_asked_for(open_page: Open) -> None:
    """By keyboard alone: arguments without a length are asked for it, and the curve is Trainer's; it can be undone."""
    page = open_page("#spec=" + quote(json.dumps(PLAN)))
    before = digest(page)
    box(page).fill('args = TrainingArguments(\n    learning_rate=3e-5, lr_scheduler_type="linear", warmup_ratio=0.1)')
    asked = page.get_by_role("textbox", name="Steps in all")
    expect(asked).to_be_focused()
    expect(said(page)).to_contain_text("max_steps is -1, so that epochs count")
    page.keyboard.type("1k")
    page.keyboard.press("Enter")
    expected = from_training_arguments({"learning_rate": 3e-5, "warmup_ratio": 0.1}, 1000)
    expect_digest(page, Spec(schedule=expected, total_steps=1000).table().digest)
    expect(said(page)).to_contain_text("1,000 rows: as you say")
    page.get_by_role("textbox", name="base_lr").fill("1e-4")  # an ordinary curve
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Undo").click()
    expect_digest(page, before)


def test_a_text_pasted_anywhere_opens_the_box(open_page: Open) -> None:
    """Ctrl+V outside of fields reads the clipboard: a link of the page opens, markup is text, and nothing runs."""
    page = open_page()
    paste = """(text) => {
        const clipboardData = new DataTransfer();
        clipboardData.setData('text/plain', text);
        document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(paste, "https://tables.example.org/#kind=Constant&y=log")
    expect_address(page, r"Constant.*&y=log$")
    for text, told in (
        (MARKUP, "must be"),
        (f'{{"type": {json.dumps(MARKUP)}, "params": {{}}}}', "scheduler.type must be one of"),
        ('{"learning_rate": 1e999, "max_steps": 5}', "finite"),
        ("[" * 1_000_000, "levels deep"),
        ("x" * 1_000_000, "must be"),
    ):
        page.evaluate(paste, text)
        expect(said(page)).to_contain_text(told)
    assert page.locator("main img, main script").count() == 0
    with page.workers[-1].expect_event("close"):  # a newer text ends the reading of an older one
        page.evaluate(f"() => {{ const paste = {paste}; paste('y'); paste('z'); }}")
    expect(said(page)).to_contain_text('got "z"')


def test_a_log_is_points_over_the_plan_with_the_first_wrong_step(open_page: Open) -> None:
    """A Trainer's state is compared with the curve, which may change meanwhile; a button goes to where they part."""
    page = open_page("#spec=" + quote(json.dumps(PLAN)))
    digest(page)
    box(page).fill(trainer_state(wrong_from=260))
    expect(said(page)).to_contain_text("rounded to 4 significant digits; step s has the rate of update s − 1")
    expect(said(page)).to_contain_text("The first that is not the plan's is at step 260")
    expect(said(page)).to_contain_text("14 of 39 rates differ")
    page.get_by_role("button", name="Go to step 260").press("Enter")
    expect(page.locator(".chart.main")).to_have_attribute("aria-valuenow", "259")
    box(page).fill(trainer_state(wrong_from=1000))
    expect(said(page)).to_contain_text("All of them are the plan's, at that precision.")
    page.get_by_role("textbox", name="base_lr").fill("6e-4")
    expect(said(page)).to_contain_text("39 of 39 rates differ")
    expect(said(page)).to_contain_text("paste the run's arguments, too")
    box(page).fill(json.dumps(PLAN))
    expect(said(page)).to_contain_text("A spec. 400 rows")
    expect(said(page)).to_contain_text("All of them are the plan's, at that precision.")
    page.get_by_role("button", name="Remove the points").click()
    expect(said(page)).not_to_contain_text("learning_rate")


def test_the_box_works_from_a_disk(open_page: Open, tmp_path: Path) -> None:
    """The page from `file://` reads a file that is chosen, without a server or a network."""
    page = open_page(url=write_static(tmp_path / "explorer").as_uri(), offline=True)
    block = {"type": "WarmupLR", "params": {"warmup_max_lr": 1e-3, "warmup_num_steps": 50, "warmup_type": "linear"}}
    file = tmp_path / "ds_config.json"
    file.write_text(json.dumps({"scheduler": block}))
    box(page)
    page.locator("#paste input[type=file]").set_input_files(file)
    expect(said(page)).to_contain_text("The schedule has no end")
    page.get_by_role("textbox", name="Steps in all").fill("200")
    page.get_by_role("button", name="Use it").click()
    expect(said(page)).to_contain_text("DeepSpeed configuration: WarmupLR. 200 rows")
    expect(page.get_by_role("button", name="deepspeed.WarmupLR")).to_be_visible()
