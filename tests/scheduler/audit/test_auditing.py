"""The audit as a whole: conventions, resumed logs, groups, ambiguity, wording, pictures and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.commands import audit as command
from lrtables.__main__ import main
from scheduler import Spec, Table
from scheduler.audit import LogError, audit
from scheduler.audit.applied import AppliedRatesWriter, Origin
from scheduler.audit.drawing import drawn_tables
from scheduler.custom import WarmupWithDecay
from scheduler.libraries import transformers
from tests.support.diseased import rounded

PLANNED = WarmupWithDecay(3e-4, 100, 1000).table(1000)
ROWS = PLANNED.lr
STEPS = np.arange(0, 1000, 10)
TYPED = ["WarmupWithDecay", "3e-4", "100", "1000"]


def rows(updates: np.ndarray[tuple[int], np.dtype[np.int64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return ROWS[np.clip(updates, 0, len(ROWS) - 1)]


def csv(path: Path, steps: np.ndarray[tuple[int], np.dtype[np.int64]], rates: object) -> Path:
    lines = [f"{step},{rate!r}" for step, rate in zip(steps.tolist(), np.asarray(rates).tolist(), strict=True)]
    path.write_text("\n".join(["step,lr", *lines, ""]))
    return path


def test_a_resumed_log_has_steps_twice() -> None:
    """Steps that are logged again after a resume are compared like the others, in the order of the log."""
    steps = np.concatenate([np.arange(0, 300, 10), np.arange(250, 500, 10)])
    assert audit((steps, rows(steps)), PLANNED).verdict == "equal"
    wrong = np.where(np.arange(len(steps)) >= 30, rows(steps - 245), rows(steps))
    found = audit((steps, wrong), PLANNED)
    assert (found.first_wrong_step, found.disease) == (250, "warmup repeated after a resume")
    assert dict(found.worst.diseases[0].parameters) == {"resumed_at": [245]}


def test_a_warmup_may_be_repeated_more_than_once() -> None:
    """Two resumes that both begin again are found, each with its update."""
    updates = np.arange(1000)
    since = np.where(updates >= 700, updates - 700, np.where(updates >= 320, updates - 320, updates))
    found = audit((updates[::10], rows(since)[::10]), PLANNED)
    assert found.disease == "warmup repeated after a resume"
    assert found.worst.diseases[0].parameters["resumed_at"] == [320, 700]


def test_rounding_of_float64_is_told_from_a_difference() -> None:
    """Other operations in float64 are `rounding`; in our own exact file a single bit is a difference."""
    near = ROWS[STEPS] * (1 + 2**-52)
    found = audit((STEPS, near), PLANNED)
    assert (found.verdict, found.disease, found.first_wrong_step) == ("rounding", None, None)
    assert "up to float64 rounding" in found.text


def test_our_own_file_is_compared_bit_for_bit(tmp_path: Path) -> None:
    """One bit of one update is found, with its update."""
    for changed, verdict in ((None, "equal"), (417, "differs")):
        path = tmp_path / f"{changed}.csv"
        with AppliedRatesWriter(path, Origin(PLANNED.digest)) as writer:
            for update, rate in enumerate(ROWS.tolist()):
                writer.write(update, float(np.nextafter(rate, 1)) if update == changed else rate)
        found = audit(path, PLANNED)
        assert (found.verdict, found.first_wrong_step, found.disease) == (verdict, changed, None)


def test_no_known_disease_says_what_it_saw() -> None:
    """Where nothing explains the log the first difference, both values and the largest deviation are stated."""
    wrong = ROWS[STEPS] * np.where(STEPS > 500, 1.1, 1.0)
    found = audit((STEPS, wrong), PLANNED)
    assert (found.disease, found.first_wrong_step) == (None, 510)
    assert "no known disease explains every logged rate" in found.text
    assert f"first wrong: step 510, {float(wrong[51])!r} logged, {float(ROWS[510])!r} planned" in found.text
    assert "largest deviation: " in found.text


def test_two_that_explain_it_equally_are_both_named() -> None:
    """A schedule of rows alone, pressed together or stepped twice, gives the same rates."""
    found = audit((STEPS, rows(2 * STEPS)), Table({"lr": ROWS}))
    assert found.disease == "stepped once per process or T_max too short"
    assert "or, which explains it equally: T_max too short" in found.text


def test_the_convention_of_old_and_new_transformers_is_healthy(tmp_path: Path) -> None:
    """trainer_state.json may have the rate of the update just made, or, of older versions, that of the next."""
    planned = transformers.Cosine(3e-4, 100, 1000).table(1000)
    path = tmp_path / "trainer_state.json"
    for offset in (-1, 0):
        history = [{"step": step, "learning_rate": planned.get_lr(step + offset)} for step in range(10, 1000, 10)]
        path.write_text(json.dumps({"log_history": history}))
        found = audit(path, planned)
        assert (found.verdict, found.worst.offset) == ("equal", offset)
    assert audit(path, planned, offset=-1).disease == "next step's rate logged"


def test_groups_of_a_table_bind_to_those_of_the_log(tmp_path: Path) -> None:
    """Two columns of the log are compared with two of the table; one alone with the group that is asked for."""
    planned = Spec(schedule=[WarmupWithDecay(3e-4, 10, 100), WarmupWithDecay(1e-3, 10, 100)], total_steps=100).table()
    lines = [f"{step},{planned.columns['lr.0'][step]},{planned.columns['lr.1'][step]}" for step in range(0, 100, 5)]
    path = tmp_path / "metrics.csv"
    path.write_text("\n".join(["step,lr-AdamW/pg1,lr-AdamW/pg2", *lines, ""]))
    found = audit(path, planned)
    assert [(column.name, column.planned_name) for column in found.columns] == [
        ("lr-AdamW/pg1", "lr.0"),
        ("lr-AdamW/pg2", "lr.1"),
    ]
    assert found.verdict == "equal"
    assert audit(path, planned, column="lr-AdamW/pg2", group=1).verdict == "equal"
    assert audit(path, planned, column="lr-AdamW/pg2").verdict == "differs"
    with pytest.raises(ValueError, match=r"the table has no column lr.2, only lr.0, lr.1"):
        audit(path, planned, column="lr-AdamW/pg2", group=2)


def test_a_table_in_samples_needs_the_samples_of_an_update() -> None:
    """On the axis `sample` update k is at 256 k; without `per_step` the rates differ."""
    planned = WarmupWithDecay(3e-4, 100, 1000).table(1000, axis="sample", stride=256)
    assert audit((STEPS, ROWS[STEPS]), planned, per_step=256).verdict == "equal"
    assert audit((STEPS, ROWS[STEPS]), planned).verdict == "differs"
    with pytest.raises(ValueError, match="per_step must be at least 1, got 0"):
        audit((STEPS, ROWS[STEPS]), planned, per_step=0)
    with pytest.raises(ValueError, match="per_step must be at most 1,000,000,000,000, got 10000000000000000000"):
        audit((STEPS, ROWS[STEPS]), planned, per_step=10**19)
    with pytest.raises(ValueError, match=r"offset must be from -1,000,000,000,000 to .*, got -10000000000000000000"):
        audit((STEPS, ROWS[STEPS]), planned, per_step=256, offset=-(10**19))


def test_arrays_are_checked() -> None:
    """Arrays of other shapes or types are refused; a NaN in a log is a difference at its step."""
    with pytest.raises(LogError, match=r"steps and rates must have one shape"):
        audit((STEPS, ROWS), PLANNED)
    with pytest.raises(LogError, match=r"steps must be whole numbers and rates floats, got float64"):
        audit((STEPS * 1.5, ROWS[STEPS]), PLANNED)
    with pytest.raises(LogError, match=r"a step must be from 0"):
        audit((STEPS - 5, ROWS[STEPS]), PLANNED)
    rates = ROWS[STEPS].copy()
    rates[7] = np.nan
    found = audit((STEPS, rates), PLANNED)
    assert (found.verdict, found.first_wrong_step, found.disease) == ("differs", 70, None)
    json.dumps(found.to_dict(), allow_nan=False)


@settings(max_examples=25, deadline=None)
@given(
    warmup=st.integers(5, 60),
    spacing=st.sampled_from([1, 3, 10]),
    precision=st.sampled_from(["float64", "float32", "4 digits"]),
    shift=st.sampled_from([-1, 1]),
    begin=st.integers(2, 40),  # a log from step 1 counts from 1, as does one of every tenth step from step 10 on
)
def test_a_shift_by_one_is_named_whatever_the_schedule(
    warmup: int, spacing: int, precision: str, shift: int, begin: int
) -> None:
    """One step late and one step early are told apart for any warmup, spacing, rounding and begin of the log."""
    planned = WarmupWithDecay(1e-3, warmup, 200, 1e-5).table(200)
    begin += begin == spacing
    steps = np.arange(begin, 199, spacing)
    found = audit((steps, rounded(planned.lr[steps + shift], precision)), planned)
    right = rounded(planned.lr[steps], precision)
    if (np.abs(right - rounded(planned.lr[steps + shift], precision)) > 1e-11).any():
        name = "one step late" if shift < 0 else "next step's rate logged"
        assert found.disease is not None
        assert name in found.disease.split(" or ")


@settings(max_examples=15, deadline=None)
@given(
    times=st.integers(2, 16), warmup=st.integers(20, 90), precision=st.sampled_from(["float64", "float32", "4 digits"])
)
def test_the_number_of_processes_is_found(times: int, warmup: int, precision: str) -> None:
    """However many processes step it, the number is found beside the name."""
    planned = WarmupWithDecay(1e-3, warmup, 400, 1e-5).table(400)
    steps = np.arange(0, 400, 2)
    found = audit((steps, rounded(planned.lr[np.minimum(times * steps, 399)], precision)), planned)
    assert found.disease == "stepped once per process"
    assert dict(found.worst.diseases[0].parameters) == {"times": times}


def test_the_picture_shows_both(tmp_path: Path) -> None:
    """Planned and logged rates have the same rows, each held until the next step that is logged."""
    planned, logged = drawn_tables(audit((STEPS, rows(2 * STEPS)), PLANNED))
    assert (planned.total_steps, logged.total_steps) == (991, 991)
    assert (planned.get_lr(19), logged.get_lr(19)) == (ROWS[10], ROWS[20])


def test_the_command_compares_and_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Equal rates exit with 0, others with 1 after the findings; --svg draws both, --json prints the same as data."""
    log = csv(tmp_path / "log.csv", STEPS, ROWS[STEPS])
    assert main(["audit", str(log), *TYPED]) == 0
    assert "equal to the table's lr, every bit" in capsys.readouterr().out
    PLANNED.save(tmp_path / "table.safetensors")
    assert main(["audit", str(log), str(tmp_path / "table.safetensors")]) == 0
    wrong = csv(tmp_path / "wrong.csv", STEPS, rows(2 * STEPS))
    assert main(["audit", str(wrong), *TYPED, "--svg", str(tmp_path / "rates.svg"), "--json"]) == 1
    data = json.loads(capsys.readouterr().out.partition("{")[2].join(["{", ""]))
    assert (data["verdict"], data["first_wrong_step"], data["disease"]) == ("differs", 10, "stepped once per process")
    assert "first wrong step 10" in (tmp_path / "rates.svg").read_text()


def test_the_command_names_a_schedule_without_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a table the schedule is named, as JSON that `lrtables show` takes."""
    log = csv(tmp_path / "log.csv", STEPS, ROWS[STEPS])
    assert main(["audit", str(log)]) == 0
    assert "exactly custom.WarmupWithDecay(base_lr=0.0003, warmup_steps=100" in capsys.readouterr().out
    assert main(["audit", str(log), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["columns"][0]["schedule"]
    assert main(["show", json.dumps(found)]) == 0


def test_bad_input_of_the_command_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log that is missing, a column that is not there and a bad table each exit with 2 after one line."""
    log = csv(tmp_path / "log.csv", STEPS, ROWS[STEPS])
    for words, error in (
        ([str(tmp_path / "none.csv"), *TYPED], "No such file"),
        ([str(log), *TYPED, "--column", "rate"], "there is no column 'rate'"),
        ([str(log), "WarmUp", "1"], "there is no kind of schedule called 'WarmUp'"),
        ([str(log), "team-a/bert"], "the service's address is needed"),
        ([str(log), "--svg", "x.svg"], "a picture needs a table"),
    ):
        assert main(["audit", *words]) == 2
        printed = capsys.readouterr().err
        assert error in printed
        assert printed.count("\n") == 1


def test_the_commands_parser_explains_itself() -> None:
    """The command has a parser that the command line finds."""
    assert callable(command.add_parser)
