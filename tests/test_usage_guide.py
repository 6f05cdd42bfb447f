"""The user's own guide to the schedulers, `tests/support/usage-guide.md`: its 22 snippets run word for word.

A snippet that uses our schedules in a loop applies their values, bit for bit. What the guide leaves to the reader (a
model, a loader, `train_step`) is a real optimizer and a step that records the rate in force.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from textwrap import dedent
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from torch.optim.lr_scheduler import StepLR

from client.plain_loop import set_lr
from scheduler import Schedule, ScheduleError, ScheduleWarning
from scheduler.custom import LinearWarmup, OneCycleLR, WarmupWithDecay

GUIDE = (Path(__file__).parent / "support" / "usage-guide.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SNIPPETS = [(GUIDE[: found.start()].rpartition("\n#")[2], dedent(found[2])) for found in BLOCK.finditer(GUIDE)]
HEADINGS = [heading.strip("# ").splitlines()[0] for heading, _ in SNIPPETS]

WARMUP = LinearWarmup(1e-3, 1000)
PREVIEW = WarmupWithDecay(5e-4, 100, 1000, min_lr=1e-6)


class Loader(list[int]):
    """Batches, as `len(dataloader)` and `for batch in dataloader` take them, and as `next(dataloader)` does."""

    def __next__(self) -> int:
        if not self:
            raise StopIteration
        return self.pop()


def setting(batches: int, **given: Any) -> dict[str, Any]:
    """What the guide leaves to the reader. `applied` has the rate of each update."""
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    applied: list[float] = []
    names: dict[str, Any] = {}

    def train(*arguments: Any) -> float:
        own = [each for each in arguments if isinstance(each, torch.optim.Optimizer)]
        used = own[0] if own else names["optimizer"]
        applied.append(used.param_groups[0]["lr"])
        used.step()
        return 0.5

    loader = Loader(range(batches))
    names |= {"torch": torch, "model": model, "model1": model, "model2": model, "optimizer": optimizer}
    names |= {"dataloader": loader, "train_loader": loader, "val_loader": loader, "get_batch": lambda: 0, "batch": 0}
    names |= dict.fromkeys(("train_step", "train_step_1", "train_step_2", "train_epoch"), train)
    return names | {"validate": lambda *_: 0.5, "applied": applied, **given}


def run(number: int, names: dict[str, Any]) -> dict[str, Any]:
    """Run a snippet as it stands, in these names; a loader without end in the guide may run dry."""
    exec(compile(SNIPPETS[number][1], f"usage-guide.md, {HEADINGS[number]}", "exec"), names)
    return names


def test_the_guide_has_22_snippets() -> None:
    """Each is found, and each has a setting below."""
    assert len(SNIPPETS) == len(SETTINGS) == 22


SETTINGS: dict[str, Callable[[], dict[str, Any]]] = {
    "Use Custom Schedulers When:": lambda: {},
    "Pattern 1": lambda: setting(12),
    "Pattern 2": lambda: setting(5500, epochs=2),
    "Pattern 3": lambda: setting(20, epochs=10),
    "Pattern 4": lambda: setting(50, epochs=20),
    "Example 1": lambda: setting(1),
    "Example 2": lambda: setting(200),
    "Example 3": lambda: setting(5),
    "Example 4, A": lambda: setting(5),
    "Example 4, B": lambda: setting(20),
    "Example 5": lambda: setting(2),
    "Tip 1": lambda: setting(1, scheduler=WARMUP, base_lr=1e-3),
    "Tip 2": lambda: setting(1, scheduler=PREVIEW, total_steps=1000),
    "Tip 3": lambda: setting(1, scheduler=PREVIEW, step=7),
    "Tip 4": lambda: setting(1, scheduler=PREVIEW, total_steps=1000),
    "Pitfall 1": lambda: setting(1, LinearWarmup=LinearWarmup),
    "Pitfall 2": lambda: setting(20, OneCycleLR=OneCycleLR, epochs=3),
    "Pitfall 3": lambda: setting(1, LinearWarmup=LinearWarmup, StepLR=StepLR, set_lr=set_lr, global_step=5),
    "Pitfall 4": lambda: {"LinearWarmup": LinearWarmup},
    "Check LR Values": lambda: {"scheduler": PREVIEW, "warmup_steps": 100, "total_steps": 1000},
    "Verify Optimizer LR": lambda: setting(1, scheduler=PREVIEW, step=7),
    "Plot Actual vs Expected": lambda: setting(1, scheduler=PREVIEW, total_steps=1000, set_lr=set_lr, plt=plt),
}
"""Snippet, in the guide's order, to the names that it finds."""

UPDATES = {
    "Pattern 2": 11_000,
    "Example 2": 200,
    "Example 3": 1000,
    "Example 4, B": 200,
    "Example 5": 1000,
    "Plot Actual vs Expected": 1000,
}
"""Snippets whose loop applies one of our schedules from the first update to the last, and how many those are."""


@pytest.fixture(autouse=True)
def _screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """There is no screen to show pictures on."""
    monkeypatch.setattr(plt, "show", lambda: None)
    yield
    plt.close("all")


@pytest.mark.parametrize("name", SETTINGS)
def test_a_snippet_runs_as_it_stands(name: str) -> None:
    """It raises nothing and warns of nothing but what the guide itself calls wrong; its updates have our rates."""
    names = SETTINGS[name]()
    if name == "Verify Optimizer LR":
        set_lr(names["optimizer"], PREVIEW.get_lr(7))
    unexpected = pytest.warns(ScheduleWarning, match=r"step 1001 is past the end of this custom\.OneCycleLR")
    dry = pytest.raises(StopIteration, match=r"^$")
    with unexpected if name == "Pitfall 2" else dry if name == "Example 2" else nullcontext():
        run([*SETTINGS].index(name), names)
    if name in UPDATES:
        schedule = names["scheduler"]
        assert isinstance(schedule, Schedule)
        assert names["applied"] == schedule.values(UPDATES[name]).tolist()


def test_the_warmup_ends_where_the_guide_says() -> None:
    """Pattern 1: each update of the warmup has its rate, and the last one of it the whole rate."""
    applied = run(1, setting(12))["applied"]
    assert applied[:1000] == LinearWarmup(1e-3, 1000).values(1000).tolist()
    assert applied[999] == 1e-3


def test_plateau_takes_over_after_the_warmup() -> None:
    """Pattern 4: 500 updates have the warmup's rate; after that the rate is only ever halved."""
    names = run(4, setting(50, epochs=20))
    assert names["applied"][:500] == names["warmup"].values(500).tolist()
    assert {rate / 1e-3 for rate in names["applied"][500:]} <= {1.0, 0.5, 0.25}


def test_the_rates_at_key_points_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Check LR Values prints the four rates of the schedule."""
    run(19, SETTINGS["Check LR Values"]())
    assert capsys.readouterr().out.splitlines()[:2] == ["Initial LR: 5e-06", "After warmup: 0.0005"]


def test_a_loader_shorter_than_the_warmup_is_one_clear_line() -> None:
    """Pattern 2 with 250 updates in all: the error names the parameter and both numbers, on one line."""
    with pytest.raises(ScheduleError, match=r".") as caught:
        run(2, setting(25, epochs=10))
    assert str(caught.value) == "WarmupWithDecay: warmup_steps must be <= total_steps, got 10000 > 250"
