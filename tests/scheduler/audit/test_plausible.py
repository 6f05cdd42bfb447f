"""What an audit may say: the plausible explanation of a sparse or short log, and none without evidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lrtables.__main__ import main
from scheduler import Spec, Table
from scheduler.audit import audit, identify
from scheduler.audit.planned import schedule_at
from scheduler.builtin import CosineAnnealingLR
from scheduler.compose import Constant
from scheduler.custom import WarmupWithDecay
from scheduler.libraries import transformers
from tests.support.diseased import rounded

COSINE = CosineAnnealingLR(0.1, 400)
SPARSE = np.arange(0, 400, 25)


def csv(path: Path, steps: np.ndarray[tuple[int], np.dtype[np.int64]], rates: object) -> str:
    lines = [f"{step},{rate!r}" for step, rate in zip(steps.tolist(), np.asarray(rates).tolist(), strict=True)]
    path.write_text("\n".join(["step,lr", *lines, ""]))
    return str(path)


@pytest.mark.parametrize("length", [90, 250, 266, 300, 350, 500, 790])
@pytest.mark.parametrize("interval", [7, 20, 25, 48])
def test_a_sparse_log_is_not_taken_for_a_short_cycle(length: int, interval: int) -> None:
    """A cosine over another length is named with that length, not with one that goes up and down between two rates."""
    steps = np.arange(0, 400, interval)
    found = audit((steps, schedule_at(CosineAnnealingLR(0.1, length), steps)), COSINE.table(400))
    assert found.disease == ("T_max too short" if length < 400 else "denominator changed")
    assert found.worst.diseases[0].parameters["length"] == length, found.text
    assert f"over {length} updates, not 400" in found.text
    assert ("it was over before the run" in found.text) == (length < 400)


def test_a_cycle_below_the_logging_interval_is_named_with_a_doubt() -> None:
    """Where no longer one explains the log, a short one is named, with the word that others may look the same."""
    found = audit((SPARSE, schedule_at(CosineAnnealingLR(0.1, 7), SPARSE)), COSINE.table(400))
    assert found.worst.diseases[0].parameters == {"length": 7}
    assert "the log has one rate in 25 updates: other lengths may look the same" in found.text


@pytest.mark.parametrize("last", [200, 390])
def test_the_planned_length_is_that_of_the_schedule(
    last: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A kind with parameters has its own length, however many steps the log has."""
    steps = np.arange(0, last + 1, 10)
    log = csv(tmp_path / "log.csv", steps, schedule_at(CosineAnnealingLR(0.1, 150), steps))
    assert main(["audit", log, "torch.CosineAnnealingLR", "0.1", "400"]) == 1
    assert "over 150 updates, not 400" in capsys.readouterr().out


@pytest.mark.parametrize("precision", ["float64", "float32", "4 digits"])
def test_a_log_from_step_1_counts_from_1(precision: str) -> None:
    """Steps 1 to 400 of a healthy run are equal, and the text says how they count; so for the schedule alone."""
    planned = WarmupWithDecay(3e-4, 40, 400)
    for interval in (1, 10):
        steps = np.arange(1, 401, interval)
        log = (steps, rounded(planned.table(400).lr[steps - 1], precision))
        found = audit(log, planned.table(400))
        assert (found.verdict, found.worst.offset, found.disease) == ("equal", -1, None)
        assert "it counts from 1: step s has the rate of update s - 1" in found.text
        assert identify(log).schedule == planned


def test_a_disease_is_found_in_a_log_that_counts_from_1() -> None:
    """Steps 1 to 400 with row 2k in update k: the factor is found, and so is how the log counts."""
    steps = np.arange(1, 401)
    found = audit((steps, schedule_at(COSINE, (steps - 1) * 2)), COSINE.table(400))
    assert (found.worst.offset, "stepped once per process" in str(found.disease)) == (-1, True)


def test_a_log_from_step_10_may_count_from_1() -> None:
    """Every tenth step from 10 on, counted from 1: the schedule is named, and a disease that is none otherwise."""
    steps = np.arange(10, 401, 10)
    planned = WarmupWithDecay(3e-4, 40, 400)
    identified = identify((steps, planned.table(400).lr[steps - 1]))
    assert (identified.schedule, identified.columns[0].offset) == (planned, -1)
    found = audit((steps, schedule_at(COSINE, (steps - 1) * 2)), COSINE.table(400))
    assert (found.worst.offset, "stepped once per process" in str(found.disease)) == (-1, True)


FROM_1 = {
    "every tenth": np.arange(10, 401, 10),
    "every tenth, of a run that is not over": np.arange(10, 251, 10),
    "every tenth, and the last": np.append(np.arange(10, 391, 10), 397),
    "every seventh, with a gap": np.concatenate([np.arange(7, 99, 7), np.arange(210, 399, 7)]),
    "the first, and every tenth": np.append(1, np.arange(10, 401, 10)),
    "resumed, with steps that are there twice": np.concatenate([np.arange(10, 211, 10), np.arange(190, 401, 10)]),
    "after a resume alone": np.arange(210, 401, 10),
    "every step after a resume alone": np.arange(201, 401),
}


@pytest.mark.parametrize("log", FROM_1)
def test_healthy_logs_that_count_from_1_are_equal(log: str) -> None:
    """A log that begins or ends as counting from 1 does is equal, and the text says how it was read."""
    planned = WarmupWithDecay(3e-4, 40, 400).table(400)
    steps = FROM_1[log]
    for precision in ("float64", "4 digits"):
        found = audit((steps, rounded(planned.lr[steps - 1], precision)), planned)
        assert (found.verdict, found.worst.offset, found.disease) == ("equal", -1, None)
        assert "it counts from 1: step s has the rate of update s - 1" in found.text
        assert ("then say --offset 0" in found.text) == (steps.min() > 1)
        late = audit((steps, rounded(planned.lr[steps - 1], precision)), planned, offset=0)
        assert (late.verdict, late.first_wrong_step, late.disease) == ("differs", steps[0], "one step late")
        from_0 = audit((steps, rounded(planned.lr[np.minimum(steps, 399)], precision)), planned)
        assert (from_0.verdict, from_0.worst.offset, from_0.worst.is_inferred) == ("equal", 0, False)


@pytest.mark.parametrize("last", [30, 399, 400, 450])
def test_a_log_from_step_1_that_ends_elsewhere_may_count_from_0(last: int) -> None:
    """Only a log from step 1 to the plan's length is sure to count from 1: any other names --offset 0, rounded too."""
    planned = WarmupWithDecay(3e-4, 40, 400).table(400)
    steps = np.arange(1, last + 1)
    rates = planned.lr[np.minimum(steps - 1, 399)]
    for logged, verdict in ((rates, "equal"), (rates + 4e-17, "rounding"), (rounded(rates, "4 digits"), "equal")):
        found = audit((steps, logged), planned)
        assert (found.verdict, found.worst.offset, found.worst.is_inferred) == (verdict, -1, True)
        assert ("then say --offset 0" in found.text) == found.worst.is_ambiguous == (last != 400)


def test_one_step_late_says_what_else_it_may_be() -> None:
    """What counts from 0 is late; where the log does not say how it counts, the text names the option."""
    planned = WarmupWithDecay(3e-4, 40, 400).table(400)
    for steps, is_vague in (
        (np.arange(0, 400, 10), False),
        (np.arange(9, 400, 10), True),
        (np.arange(210, 360, 10), True),
    ):
        found = audit((steps, planned.lr[np.maximum(steps - 1, 0)]), planned)
        assert (found.disease, "--offset -1" in found.text) == ("one step late", is_vague)


def test_never_applied_needs_rates_that_should_differ() -> None:
    """One rate, a constant plan, or the stable phase of a plan: another rate with its factor, and no more than that."""
    stable = transformers.WarmupStableDecay(1e-3, 40, 100, 400).table(400)
    plateau = np.arange(50, 290, 10)
    for log, planned in (
        ((np.array([100]), np.array([2 * stable.lr[100]])), stable),
        ((plateau, 2 * stable.lr[plateau]), stable),
        ((SPARSE, np.full(len(SPARSE), 2e-3)), Constant(1e-3).table(400)),
        ((SPARSE, 2 * COSINE.table(400).lr[SPARSE]), COSINE.table(400)),
    ):
        found = audit(log, planned)
        assert found.disease == "another rate", found.text
        assert found.worst.diseases[0].parameters == {"factor": 2.0}
        assert "rate is 2 times the planned one" in found.text
        assert "ever reached" not in found.text


def test_two_rates_that_should_differ_show_that_none_was_applied() -> None:
    """Two equal rates at which the plan's differ are evidence."""
    found = audit((np.array([0, 200, 399]), np.full(3, 0.3)), COSINE.table(400))
    assert found.disease == "constant because never applied"


@pytest.mark.parametrize("precision", ["float64", "float32", "4 digits"])
@pytest.mark.parametrize("rows", [-17, -1, 1, 30])
@pytest.mark.parametrize("since", [0, 200])
def test_a_resume_at_another_row_is_named(rows: int, since: int, precision: str) -> None:
    """Rows behind or ahead, from a resume on or from where the log begins, are counted, and the update is named."""
    planned = WarmupWithDecay(3e-4, 40, 400).table(400)
    steps = np.arange(0 if since else 50, 360, 10)
    found = audit((steps, rounded(planned.lr[steps + rows * (steps >= since)], precision)), planned)
    if since == 0 and abs(rows) == 1:
        assert found.disease == ("one step late" if rows < 0 else "next step's rate logged")
    else:
        begun_again = "warmup repeated after a resume or " if since == 0 and rows < 0 else ""  # before the log begins
        assert found.disease == f"{begun_again}resumed at another row", found.text
        assert found.worst.diseases[-1].parameters == {"rows": rows, "since": since or 50}
        assert f"row k {'+' if rows > 0 else '-'} {abs(rows)}: the schedule is {abs(rows)} updates" in found.text


def test_options_without_use_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--per-step` on another axis, `--version` of no run and `--group` without groups are each one line, exit 2."""
    log = csv(tmp_path / "log.csv", SPARSE, COSINE.table(400).lr[SPARSE])
    table = str(tmp_path / "table.safetensors")
    COSINE.table(400).save(table)
    typed = ["torch.CosineAnnealingLR", "0.1", "400"]
    for words, error in (
        ([*typed, "--per-step", "4"], "per_step 4"),
        ([table, "--per-step", "4"], "per_step 4"),
        ([table, "--version", "9"], "--version 9"),
        ([*typed, "--version", "9"], "--version 9"),
        ([COSINE.table(400).digest, "--version", "9"], "--version 9"),
        ([table, "--group", "1"], "group 1"),
        (["--group", "1"], "--group 1"),
        (["--per-step", "4"], "--per-step 4"),
        (["--version", "9"], "--version 9"),
    ):
        assert main(["audit", log, *words]) == 2, words
        printed = capsys.readouterr().err
        assert error in printed
        assert printed.count("\n") == 1


def test_groups_and_units_that_are_there_are_taken() -> None:
    """The refusals leave a table with groups, and one in tokens, as they were."""
    groups = Spec(schedule=[COSINE, CosineAnnealingLR(0.2, 400)], total_steps=400).table()
    assert audit((SPARSE, groups.columns["lr.1"][SPARSE]), groups, group=1).verdict == "equal"
    tokens = COSINE.table(400, axis="token", stride=8)
    assert audit((SPARSE, tokens.lr[SPARSE]), tokens, per_step=8).verdict == "equal"
    with pytest.raises(ValueError, match=r"per_step 4: .* this one's is step"):
        audit((SPARSE, SPARSE * 1e-3), Table({"lr": np.ones(400)}), per_step=4)
