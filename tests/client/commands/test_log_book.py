"""The log book of a run, and a published one retold: the exported spec and digest reproduce every applied rate.

The training of OPT-175B is told in a public log book ("Chronicles of OPT-175B training", 2021): its authors took the
settings of GPT-3, lowered the rate by a tenth when the norms drifted (12.43), lowered it to two thirds of GPT-3's when
the perplexity diverged (12.45.2), and went back to checkpoints again and again. Such entries are made here, at
a tenth of its length: the first two are those of the log book, the steps of the rewinds and what follows are ours.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import pytest

from client import Client
from scheduler import Spec, Table
from scheduler.custom import WarmupWithDecay

if TYPE_CHECKING:
    from tests.client.commands.conftest import CommandLine

STEPS, PEAK, WARMUP = 14_300, 6e-5, 200
PLAN = Spec(schedule=WarmupWithDecay(PEAK, WARMUP, STEPS, min_lr=PEAK / 10), total_steps=STEPS)
TWO_THIRDS = WarmupWithDecay(PEAK * 2 / 3, WARMUP, STEPS, min_lr=PEAK / 15)
EVERY = 100  # steps between two reports of the training


@dataclass
class Training:
    """A training that follows its run: it reports where it is, and takes up what the run says then."""

    client: Client
    name: str
    rates: list[float] = field(default_factory=list)
    """The rates applied to the weights that it has now, one per step."""
    applied: int = 0
    """Steps made in all, those that were lost with a later checkpoint too."""

    def run_to(self, step: int) -> None:
        """Train up to a step; the run's table is looked at where a position is reported."""
        version, table = 0, Table({"lr": [0.0]})
        while len(self.rates) < step:
            position = len(self.rates)
            if version == 0 or position % EVERY == 0:
                report = self.client.report_progress(self.name, "rank-0", position)
                if report.version != version:
                    version, table = report.version, self.client.get(report.digest)
            self.rates.append(table.get_lr(position))
            self.applied += 1

    def restart(self, step: int) -> None:
        """Go on from the checkpoint of a step: what was trained behind it is lost."""
        del self.rates[step:]


ENTRIES: list[tuple[int, str, dict[str, Any]]] = [
    (
        5_600,
        "12.43: gradient and activation norms spike and drift; the rate goes down by 10%",
        {"template": "scale", "from_step": 5_800, "factor": 0.9},
    ),
    (
        7_000,
        "12.45.2: perplexity diverges after gradient spikes; back to the checkpoint, two thirds of GPT-3's rate",
        {
            "template": "rewind",
            "from_step": 6_700,
            "tail": {"kind": "Shift", "schedule": TWO_THIRDS.to_dict(), "offset": 6_700},
            "total_steps": STEPS,
        },
    ),
    (
        9_000,
        "12.51: the loss scale crashes; back once more, and hold",
        {"template": "rewind", "from_step": 8_650, "tail": {"kind": "Constant", "value": "previous"}},
    ),
    (10_000, "stable: go on downwards", {"template": "cooldown", "from_step": 10_200, "length": 4_100, "rate": 6e-6}),
    (12_000, "one more epoch than planned", {"template": "extend", "from_step": 12_200, "total_steps": 15_000}),
]


@pytest.fixture
def told(service_url: str, name: str, tmp_path: Path) -> tuple[Training, Table]:
    """The training told in `ENTRIES`, to its end, and the table of its run's newest version."""
    with Client(service_url) as client:
        client.create_run(name, PLAN, reason="12.00: the settings of GPT-3", link="https://example.com/opt")
        training = Training(client, name)
        for step, reason, amendment in ENTRIES:
            training.run_to(step)
            client.amend(name, amendment, reason=reason)
            if amendment["template"] == "rewind":
                training.restart(amendment["from_step"])
        final = client.get(client.run(name))
        training.run_to(final.total_steps)
        return training, final


def test_a_published_log_book_is_retold(
    lrtables: CommandLine, told: tuple[Training, Table], name: str, tmp_path: Path
) -> None:
    """The book has every entry; its spec computes, without a service, the table of every rate that was applied."""
    training, final = told
    assert training.applied > len(training.rates) == 15_000
    out = lrtables.ok("run", "export", name, "--output", str(tmp_path / "book"))
    assert out.splitlines()[-1] == f"digest {final.digest}"
    spec = Spec.model_validate_json((tmp_path / "book" / "spec.json").read_text())
    here = Table.compute(spec)
    assert here.digest == final.digest
    assert np.array_equal(here.lr.view(np.int64), np.array(training.rates).view(np.int64))
    assert json.loads(lrtables.ok("show", str(tmp_path / "book" / "spec.json"), "--json"))["digest"] == final.digest

    text = (tmp_path / "book" / "log.md").read_text()
    for _, reason, _ in ENTRIES:
        assert text.count(reason.replace("_", r"\_")) == 2  # in the list, and in its own section
    assert "all rates times 0.9" in text
    assert "back to step 6,700, and from there on" in text
    assert f"    {final.digest}" in text
    assert "<https://example.com/opt>" in text
    was, now = (repr(rate) for rate in (PLAN.table().get_lr(5_800), 0.9 * PLAN.table().get_lr(5_800)))
    assert f"At step 5,800 lr was {was}, and is {now}." in text


def test_the_rates_are_those_of_the_entries(told: tuple[Training, Table]) -> None:
    """A tenth lower from its step on, two thirds from the checkpoint on, then held, and every step before as it was."""
    training, _ = told
    rates, plan = np.array(training.rates), PLAN.table().lr
    assert np.array_equal(rates[:5_800], plan[:5_800])
    np.testing.assert_allclose(rates[5_800:6_700], 0.9 * plan[5_800:6_700], rtol=1e-15)
    np.testing.assert_allclose(rates[6_700:8_650], 2 / 3 * plan[6_700:8_650], rtol=1e-12)
    assert len(set(rates[8_650:10_201])) == 1
    assert len(set(rates[12_200:12_901])) == 1


def test_the_picture_marks_each_change(
    lrtables: CommandLine, told: tuple[Training, Table], name: str, tmp_path: Path
) -> None:
    """A line at each step that a version changed, with the version."""
    lrtables.ok("run", "export", name, "--output", str(tmp_path / "book.md"))
    root = ElementTree.parse(tmp_path / "book.svg").getroot()
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {name, "v2", "v3", "v4", "v5", "v6"} <= texts
    assert "![" in (tmp_path / "book.md").read_text()
    assert (tmp_path / "book.json").exists()


def test_a_published_table_needs_no_service_either(lrtables: CommandLine, name: str, tmp_path: Path) -> None:
    """A run of a table without a spec, amended: the exported spec has the values, and gives the newest digest."""
    Table({"lr": np.linspace(0.1, 0.0, 500)}).save(tmp_path / "captured.safetensors")
    lrtables.ok("run", "create", name, str(tmp_path / "captured.safetensors"))
    lrtables.ok("run", "amend", name, "--from-step", "300", "--scale", "0.5")
    lrtables.ok("run", "amend", name, "--from-step", "400", "--cooldown", "200")
    digest = lrtables.json("run", "export", name, "--output", str(tmp_path / "book"))["digest"]
    text = (tmp_path / "book" / "spec.json").read_text()
    assert "digest" not in text.replace('"digest": null', "")
    spec = Spec.model_validate_json(text)
    assert (spec.total_steps, spec.table().digest) == (600, digest)


def test_who_proposed_and_what_was_set_is_exported(lrtables: CommandLine, name: str, tmp_path: Path) -> None:
    """The book has the proposal of an approved version, the lock, and the rules with what they were."""
    lrtables.ok("run", "create", name, "WarmupWithDecay", "5e-4", "100", "1000", "--rule", "margin_steps=10")
    lrtables.ok("run", "set", name, "--rule", "margin_steps=20", "--reason", "slow workers")
    lrtables.ok("run", "propose", name, "--from-step", "600", "--hold")
    lrtables.ok("run", "approve", name, "1")
    lrtables.ok("run", "lock", name, "--reason", "done")
    lrtables.ok("run", "export", name, "--output", str(tmp_path / "book"))
    text = (tmp_path / "book" / "log.md").read_text()
    assert "| anybody, proposed by anybody |" in text
    assert "(proposal 1), approved by anybody at " in text
    assert "| 1 | rules: margin\\_steps=20 (was 10) | anybody | slow workers |" in text
    assert "| 2 | locked | anybody | done |" in text
