"""Reading logs: formats, columns, steps, and errors that name the place."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.audit import LogError
from scheduler.audit.applied import AppliedRatesError, AppliedRatesWriter, Origin
from scheduler.audit.logs.logged import RateLog
from scheduler.audit.logs.rate_columns import is_rate_name, rate_columns
from scheduler.audit.logs.readers import parse_log, read_log

STATE = {
    "global_step": 2,
    "log_history": [
        {"epoch": 0.5, "learning_rate": 0.1, "loss": 1.0, "step": 1},
        {"epoch": 0.5, "eval_loss": 2.0, "step": 1},
        {"epoch": 1.0, "learning_rate": 0.05, "loss": 1.0, "step": 2},
        {"epoch": 1.0, "train_runtime": 3.0, "step": 2},
    ],
}


BEGINS = ["", "step,lr\n", '{"log_history": ', "[{", "# lrtables applied rates 1 {}\n"]


def found(log: RateLog) -> tuple[list[int], list[str]]:
    (name,) = rate_columns(log.columns, None, None)
    return log.columns[name].steps, log.columns[name].words


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(json.dumps(STATE), id="trainer_state.json"),
        pytest.param(json.dumps(STATE["log_history"]), id="a list of records"),
        pytest.param("\n".join(json.dumps(record) for record in STATE["log_history"]), id="JSON lines"),  # type: ignore[attr-defined]  # a list
        pytest.param("epoch,lr-SGD,step,loss\n0,0.1,1,\n0,,1,2.0\n0,0.05,2,\n", id="Lightning"),
        pytest.param("_step,_runtime,train/global_step,train/learning_rate\n0,1,1,0.1\n1,2,2,0.05\n", id="W&B history"),
        pytest.param(
            '"Step","run - learning_rate","run - learning_rate__MIN","run - learning_rate__MAX"\n'
            '"1","0.1","0.1","0.1"\n"2","0.05","0.05","0.05"\n',
            id="W&B chart",
        ),
        pytest.param("\ufeffstep\tlr\n1\t0.1\n2.0\t0.05\n", id="tabs, a byte-order mark, steps with a point"),
        pytest.param("# lrtables applied rates 1 {}\nupdate,lr\n1,0.1\n2,0.05\n3,0.0", id="applied rates"),
    ],
)
def test_each_format_gives_its_rates(text: str, tmp_path: Path) -> None:
    """Steps and numbers as they are written come out of each format; rows without a rate are passed over."""
    path = tmp_path / "log"
    path.write_text(text, encoding="utf-8")
    assert found(read_log(path)) == ([1, 2], ["0.1", "0.05"])


def test_the_trainer_is_known_where_the_log_tells() -> None:
    """The Hugging Face Trainer logs the rate of the update just made, older ones the next; others that of the step."""
    assert tuple(parse_log(json.dumps(STATE)).offsets) == (-1, 0)
    assert tuple(parse_log("train/global_step,lr\n1,0.1\n").offsets) == (-1, 0)
    assert tuple(parse_log("step,lr\n1,0.1\n").offsets) == (0,)


def test_a_folder_is_searched_for_its_log(tmp_path: Path) -> None:
    """The state of the newest checkpoint, or the one metrics.csv, is found; several logs are listed in an error."""
    for number in (9, 10):
        (tmp_path / f"checkpoint-{number}").mkdir()
        state = {"log_history": [{"learning_rate": number / 100, "step": 1}]}
        (tmp_path / f"checkpoint-{number}" / "trainer_state.json").write_text(json.dumps(state))
    assert found(read_log(tmp_path)) == ([1], ["0.1"])
    runs = tmp_path / "runs"
    for version in ("version_0", "version_1"):
        (runs / version).mkdir(parents=True)
        (runs / version / "metrics.csv").write_text("step,lr\n1,0.1\n")
    assert found(read_log(runs / "version_0")) == ([1], ["0.1"])
    with pytest.raises(LogError, match=r"several logs: choose one of version_0/metrics.csv, version_1"):
        read_log(runs)
    (tmp_path / "empty").mkdir()
    with pytest.raises(LogError, match=r"holds no trainer_state.json, no metrics.csv and no event file"):
        read_log(tmp_path / "empty")


@pytest.mark.parametrize("name", ["lr", "LR", "learning_rate", "train/learning_rate", "lr-AdamW", "lr-SGD/pg1", "lr.0"])
def test_usual_names_of_rates_are_known(name: str) -> None:
    """The names that trainers give learning rates."""
    assert is_rate_name(name)


@pytest.mark.parametrize("name", ["loss", "lr-SGD-momentum", "lr-AdamW-weight_decay", "lr__MIN", "celery", "lr_scale"])
def test_other_names_are_not(name: str) -> None:
    """Momentum, weight decay and the like are no rates."""
    assert not is_rate_name(name)


def test_ambiguity_is_an_error_that_lists() -> None:
    """Several columns with different rates are listed; equal ones are no choice; groups of the table bind in order."""
    log = parse_log("step,lr-SGD/pg2,lr-SGD/pg10,lr-SGD/pg1\n1,0.2,0.3,0.1\n")
    with pytest.raises(LogError, match=r"--column, of lr-SGD/pg1, lr-SGD/pg2, lr-SGD/pg10"):
        rate_columns(log.columns, None, None)
    assert rate_columns(log.columns, None, 3) == ["lr-SGD/pg1", "lr-SGD/pg2", "lr-SGD/pg10"]
    assert rate_columns(log.columns, "lr-SGD/pg2", None) == ["lr-SGD/pg2"]
    assert rate_columns(parse_log("step,lr-a,lr-b\n1,0.1,0.1\n").columns, None, None) == ["lr-a"]
    with pytest.raises(LogError, match=r"there is no column 'lr-SGD/pg3' with numbers; there are lr-SGD/pg"):
        rate_columns(log.columns, "lr-SGD/pg3", None)
    with pytest.raises(LogError, match=r"no column is called like a learning rate: choose one with --column, of loss"):
        rate_columns(parse_log("step,loss\n1,0.1\n").columns, None, None)
    with pytest.raises(LogError, match="no column but that of the steps has a number"):
        rate_columns(parse_log('step,lr\n"0,0.1\n').columns, None, None)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "the log is empty"),
        ("step,lr\n", "the CSV has a header and no rows"),
        ("epoch,lr\n1,0.1\n", "no column counts steps, such as update, global_step"),
        ("step,lr\n1.5,0.1\n", "line 2: a step must be a whole number from 0, got '1.5'"),
        ("lr,step\n0.1\n", "line 2: has 1 cells, and the header has 2"),
        ("step,step,lr\n1,1,0.1\n", "the CSV has the column 'step' twice"),
        ("{", "line 1: is no JSON"),
        ("[1]", "the JSON must hold a list of objects"),
        ('[{"step": -1, "lr": 0.1}]', "record 1: a step must be a whole number from 0, got '-1'"),
        ("[" * 100_000, "the JSON is nested too deeply"),
    ],
)
def test_a_broken_log_is_refused_with_its_place(text: str, error: str) -> None:
    """Each kind of damage is one error that says what and where."""
    with pytest.raises(LogError, match=error):
        parse_log(text)


def test_a_rate_that_is_no_number_is_named() -> None:
    """A word in the rate's column is an error that names the column and the word."""
    log = parse_log("step,lr\n1,fast\n")
    with pytest.raises(LogError, match="lr: a rate must be a number, got 'fast'"):
        log.columns["lr"].series("lr")


@given(
    st.text(max_size=120),
    st.sampled_from(["", "step,lr\n", '{"log_history": ', "[{", "# lrtables applied rates 1 {}\n"]),
)
def test_no_text_gives_another_error(text: str, begin: str) -> None:
    """Whatever a file holds, it is read or refused by name."""
    try:
        log = parse_log(begin + text)
        for name in rate_columns(log.columns, None, None):
            log.columns[name].series(name)
    except (LogError, AppliedRatesError):
        return


@given(st.binary(max_size=200))
def test_no_bytes_give_another_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """The same for files that are no text."""
    path = tmp_path_factory.getbasetemp() / "broken.csv"
    path.write_bytes(data)
    try:
        read_log(path)
    except LogError:
        return


def test_our_own_file_keeps_every_bit(tmp_path: Path) -> None:
    """Applied rates are read with every bit, and with the table that they name."""
    values = np.random.default_rng(3).random(50).tolist()
    with AppliedRatesWriter(tmp_path / "rates.csv", Origin("ab" * 32, "team-a/bert", 2)) as writer:
        for update, value in enumerate(values):
            writer.write(update, value)
    log = read_log(tmp_path / "rates.csv")
    assert (log.is_exact, log.origins) == (True, ((0, Origin("ab" * 32, "team-a/bert", 2)),))
    assert log.columns["lr"].series("lr").values.tolist() == values


def test_events_without_tensorboard_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is missing the error names it."""
    monkeypatch.setitem(sys.modules, "tensorboard.backend.event_processing.event_accumulator", None)
    with pytest.raises(ImportError, match="pip install tensorboard"):
        read_log(tmp_path / "events.out.tfevents.1.host")
