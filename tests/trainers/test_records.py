"""`client.records`: what each package's own reader finds is what the optimizer had at every update."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter
from wandb.proto import wandb_internal_pb2

from client import DigestMismatchError
from client.lr_scheduler import TableLR
from client.pinned_table import PinnedTable
from client.records import (
    AppliedRatesFile,
    MLflowRecorder,
    Recorder,
    TensorBoardRecorder,
    record_rates,
)
from scheduler import ScheduleWarning, Table
from scheduler.audit.applied import AppliedRatesError, Origin, read_applied_rates
from tests.support.client.training import update

RATES = [0.1 / (k + 1) for k in range(10)]
TABLE = PinnedTable(Table({"lr": RATES}), run="team-a/bert", version=3)
GROUPS = PinnedTable(Table({"lr.0": RATES, "lr.1": RATES[::-1], "momentum": RATES}), run="team-a/bert", version=3)


class Memory(Recorder):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.origins: list[Origin] = []
        self.columns: list[str] = []
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.closed = 0

    def start(self, origin: Origin, columns: Sequence[str]) -> None:
        self.origins.append(origin)
        self.columns = [*columns]

    def follow(self, origin: Origin) -> None:
        self.origins.append(origin)

    def record(self, update: int, values: Mapping[str, float]) -> None:
        self.rows.append((update, {**values}))

    def close(self) -> None:
        self.closed += 1


def make_optimizer(groups: int = 1) -> torch.optim.SGD:
    parameters = [{"params": [torch.nn.Parameter(torch.ones(1))]} for _ in range(groups)]
    return torch.optim.SGD(parameters, lr=1.0, momentum=0.5)


def train(optimizer: torch.optim.Optimizer, scheduler: Any, updates: int) -> None:
    for _ in range(updates):
        update(optimizer)
        scheduler.step()


def trained(to: Any, table: Table = TABLE, *, updates: int = 10, groups: int = 1, **options: Any) -> None:
    """Train with a table and a recorder, to the end."""
    optimizer = make_optimizer(groups)
    scheduler = TableLR(optimizer, table)
    with record_rates(scheduler, to, **options):
        train(optimizer, scheduler, updates)


# -- what is recorded -------------------------------------------------------------------------------------------------


def test_what_the_optimizer_had_is_recorded() -> None:
    """Every update has one record, with the values in force when it began, whoever wrote them; then none any more."""
    optimizer, memory = make_optimizer(), Memory()
    scheduler = TableLR(optimizer, TABLE)
    with record_rates(scheduler, memory):
        train(optimizer, scheduler, 2)
        optimizer.param_groups[0]["lr"] = 7.0
        update(optimizer)
    update(optimizer)
    assert memory.rows == [(0, {"lr": RATES[0]}), (1, {"lr": RATES[1]}), (2, {"lr": 7.0})]
    assert memory.origins == [Origin(TABLE.digest, "team-a/bert", 3)]
    assert memory.closed == 1


def test_updates_are_counted_and_not_steps_of_the_scheduler() -> None:
    """A scheduler that is stepped twice an update shows as wrong rates at right updates."""
    optimizer, memory = make_optimizer(), Memory()
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1 / (k + 1))
    with record_rates(scheduler, memory, table=TABLE):
        for _ in range(3):
            update(optimizer)
            scheduler.step()
            scheduler.step()
    assert memory.rows == [(0, {"lr": 1.0}), (1, {"lr": 1 / 3}), (2, {"lr": 1 / 5})]
    assert memory.origins == [Origin(TABLE.digest, "team-a/bert", 3)]


def test_a_forgotten_step_is_recorded_as_it_was() -> None:
    """A TableLR that nobody steps writes its row when the update begins, and the record has that row."""
    optimizer, memory = make_optimizer(), Memory()
    scheduler = TableLR(optimizer, TABLE)
    with record_rates(scheduler, memory):
        update(optimizer)
        with pytest.warns(ScheduleWarning, match="without a step"):
            update(optimizer)
        update(optimizer)
        update(optimizer)
    assert memory.rows == [(k, {"lr": RATES[k]}) for k in range(4)]


def test_groups_and_columns_have_names_of_their_own() -> None:
    """With several groups each value is named by column and group, all columns of the table or those asked for."""
    all_columns, some = Memory(), Memory()
    trained([all_columns, some], GROUPS, groups=2, updates=3)
    assert all_columns.rows[1] == (
        1,
        {"lr.0": RATES[1], "lr.1": RATES[8], "momentum.0": RATES[1], "momentum.1": RATES[1]},
    )
    trained(some, GROUPS, groups=2, updates=4, every=2, columns=["weight_decay"])
    assert [number for number, _ in some.rows[3:]] == [0, 2]
    assert some.columns == ["weight_decay.0", "weight_decay.1"]


def test_a_resumed_training_goes_on_counting() -> None:
    """After a resume updates are counted from the scheduler's position, also where its state is loaded later."""
    optimizer, memory = make_optimizer(), Memory()
    scheduler = TableLR(optimizer, TABLE)
    train(optimizer, scheduler, 4)
    saved = scheduler.state_dict()
    resumed = make_optimizer()
    scheduler = TableLR(resumed, TABLE)
    with record_rates(scheduler, memory):
        scheduler.load_state_dict(saved)
        train(resumed, scheduler, 2)
    assert memory.rows == [(4, {"lr": RATES[4]}), (5, {"lr": RATES[5]})]


def test_an_amended_table_is_named() -> None:
    """From the update after `replace_table` on, the records are of the new table and version."""
    optimizer, memory = make_optimizer(), Memory()
    scheduler = TableLR(optimizer, TABLE)
    new = PinnedTable(Table({"lr": [*RATES[:5], *([0.5] * 5)]}), run="team-a/bert", version=4)
    with record_rates(scheduler, memory):
        train(optimizer, scheduler, 3)
        scheduler.replace_table(new)
        train(optimizer, scheduler, 4)
    assert memory.origins == [Origin(TABLE.digest, "team-a/bert", 3), Origin(new.digest, "team-a/bert", 4)]
    assert [row["lr"] for _, row in memory.rows] == [*RATES[:5], 0.5, 0.5]


def test_a_recorder_that_fails_does_not_end_the_training() -> None:
    """It is left out from then on with a warning that names the error; the others go on."""

    class Full(Memory):
        def record(self, update: int, values: Mapping[str, float]) -> None:
            raise OSError("No space left on device")

    memory = Memory()
    with pytest.warns(ScheduleWarning, match="Full records no more rates: OSError: No space left on device") as found:
        trained([Full(), memory])
    assert len(found) == 1
    assert len(memory.rows) == 10


def test_mistakes_are_refused_before_the_training() -> None:
    """An object that has no hooks, a column that no group has, and what is no recorder are named."""
    with pytest.raises(ValueError, match="object has an optimizer without torch's hooks"):
        record_rates(object(), Memory())
    with pytest.raises(ValueError, match="column 'beta1' is not in group 0 of the optimizer, which has lr, momentum"):
        record_rates(make_optimizer(), Memory(), columns=["beta1"])
    with pytest.raises(TypeError, match="to must be a recorder or a path, or several of them, got 3"):
        record_rates(make_optimizer(), 3)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ValueError, match="every must be a whole number from 1, got 0"):
        record_rates(make_optimizer(), Memory(), every=0)


# -- our own file -----------------------------------------------------------------------------------------------------


def test_the_file_has_every_bit(tmp_path: Path) -> None:
    """A path is enough: the file has each update's float64 and names table, run and version."""
    path = tmp_path / "new" / "rates.csv"
    trained(path)
    found = read_applied_rates(path)
    assert found.updates.tolist() == [*range(10)]
    assert found.columns["lr"].tolist() == RATES
    assert found.origins == ((0, Origin(TABLE.digest, "team-a/bert", 3)),)


def test_the_file_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    """After each `flush_every` records they are all there, before the recording is closed."""
    path = tmp_path / "rates.csv"
    optimizer = make_optimizer()
    scheduler = TableLR(optimizer, TABLE)
    with record_rates(scheduler, AppliedRatesFile(path, flush_every=4)):
        assert len(read_applied_rates(path).updates) == 0
        train(optimizer, scheduler, 6)
        assert len(read_applied_rates(path).updates) == 4
    assert len(read_applied_rates(path).updates) == 6


def test_a_resumed_job_continues_its_file(tmp_path: Path) -> None:
    """The same table or another version of the run continues it; another table is refused unless it is meant."""
    path = tmp_path / "rates.csv"
    other = Table({"lr": RATES[::-1]})
    trained(path, updates=3)
    trained(path, updates=2, start=3)
    trained(path, PinnedTable(other, run="team-a/bert", version=4), updates=1, start=5)
    with pytest.raises(DigestMismatchError, match=r"rates.csv has rates of table \w{64} \(team-a/bert, version 4\)"):
        trained(path, Table({"lr": RATES}))
    trained(AppliedRatesFile(path, allow_other_table=True), Table({"lr": RATES}), updates=1)
    found = read_applied_rates(path)
    assert found.updates.tolist() == [0, 1, 2, 3, 4, 5, 0]
    assert [row for row, _ in found.origins] == [0, 3, 5, 6]
    with pytest.raises(AppliedRatesError, match=r"has the columns update,lr, not update,lr\.0,lr\.1"):
        trained(path, groups=2)


def test_a_process_that_ends_leaves_all_rows(tmp_path: Path) -> None:
    """A recording that was never closed is written when the process ends."""
    script = f"""
import torch
from client.lr_scheduler import TableLR
from client.records import record_rates
from scheduler import Table
optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
recording = record_rates(TableLR(optimizer, Table({{"lr": {RATES}}})), {str(tmp_path / "rates.csv")!r})
optimizer.step()
"""
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONPATH": path})
    assert read_applied_rates(tmp_path / "rates.csv").columns["lr"].tolist() == RATES[:1]


# -- TensorBoard, MLflow, Weights & Biases ----------------------------------------------------------------------------


def test_tensorboard_shows_the_rates(tmp_path: Path) -> None:
    """TensorBoard's own reader finds each update's rate in float32, by group, and the table as text."""
    trained(TensorBoardRecorder(tmp_path), GROUPS, groups=2)
    events = EventAccumulator(str(tmp_path)).Reload()
    for name, rates in {"lr.0": RATES, "lr.1": RATES[::-1], "momentum.1": RATES}.items():
        scalars = events.Scalars(name)
        assert [scalar.step for scalar in scalars] == [*range(10)]
        assert [scalar.value for scalar in scalars] == [float(rate) for rate in np.asarray(rates, dtype=np.float32)]
    for name, value in {"lr_table_digest": GROUPS.digest, "lr_run": "team-a/bert", "lr_run_version": "3"}.items():
        (text,) = events.Tensors(f"{name}/text_summary")
        assert text.tensor_proto.string_val == [value.encode()]


def test_a_writer_of_the_training_stays_open(tmp_path: Path) -> None:
    """The training's own SummaryWriter is used, with its prefix, and not closed."""
    with SummaryWriter(str(tmp_path)) as writer:
        trained(TensorBoardRecorder(writer, prefix="train/"), updates=2)
        writer.add_scalar("loss", 1.0, 2)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert sorted(events.Tags()["scalars"]) == ["loss", "train/lr"]


@pytest.fixture
def tracking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of MLflow on a store of files of this test, which MLflow asks to be allowed."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(before)


def test_mlflow_has_metrics_and_params(tracking: Any) -> None:
    """MLflow's own client finds each update's rate, bit for bit, and the table in params and tags."""
    with mlflow.start_run() as run:
        trained(MLflowRecorder(flush_every=4))
    history = tracking.get_metric_history(run.info.run_id, "lr")
    assert [(each.step, each.value) for each in history] == [*enumerate(RATES)]
    data = tracking.get_run(run.info.run_id).data
    expected = {"lr_table_digest": TABLE.digest, "lr_run": "team-a/bert", "lr_run_version": "3"}
    assert data.params == expected
    assert expected.items() <= data.tags.items()


def test_mlflow_keeps_params_and_renews_tags(tracking: Any) -> None:
    """A run that is resumed by its id keeps its params, and its tags name the table applied last."""
    with mlflow.start_run() as run:
        trained(MLflowRecorder(), updates=2)
    new = PinnedTable(Table({"lr": RATES[::-1]}), run="team-a/bert", version=4)
    trained(MLflowRecorder(run.info.run_id), new, updates=2, start=2)
    data = tracking.get_run(run.info.run_id).data
    assert (data.params["lr_run_version"], data.tags["lr_run_version"]) == ("3", "4")
    assert len(tracking.get_metric_history(run.info.run_id, "lr")) == 4
    with pytest.raises(ValueError, match=r"record inside mlflow.start_run\(\), or give run_id"):
        trained(MLflowRecorder())


WANDB = """
import sys
import torch
import wandb
from client.lr_scheduler import TableLR
from client.pinned_table import PinnedTable
from client.records import WandbRecorder, record_rates
from scheduler import Table

groups = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(2)]
optimizer = torch.optim.SGD(groups, lr=1.0)
rates = [0.1 / (k + 1) for k in range(10)]
scheduler = TableLR(optimizer, PinnedTable(Table({"lr": rates}), run="team-a/bert", version=3), relative=False)
with wandb.init(mode="offline", dir=sys.argv[1], project="rates"):
    with record_rates(scheduler, WandbRecorder()):
        for step in range(10):
            optimizer.step()
            scheduler.step()
            wandb.log({"loss": 1.0})
"""


def test_wandb_has_history_and_config(tmp_path: Path) -> None:
    """The file of an offline run has each update's rates among the training's own logs, and the table in its config."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {**os.environ, "PYTHONPATH": path, "WANDB_SILENT": "true", "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", WANDB, str(tmp_path)], check=True, env=environment)
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    history, config = read_wandb(file)
    rows = [row for row in history if "lr/0" in row]
    assert [(row["lr_update"], row["lr/0"], row["lr/1"]) for row in rows] == [
        (k, RATES[k], RATES[k]) for k in range(10)
    ]
    digest = Table({"lr": RATES}).digest
    assert {name: config[name] for name in ("lr_table_digest", "lr_run", "lr_run_version")} == {
        "lr_table_digest": digest,
        "lr_run": "team-a/bert",
        "lr_run_version": 3,
    }
    assert sum("loss" in row for row in history) == 10


def read_wandb(file: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The history and the config in the file of an offline run, whose records are W&B's own protocol buffers."""
    history: list[dict[str, Any]] = []
    config: dict[str, Any] = {}
    for data in leveldb_records(file.read_bytes()[7:]):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.HasField("history"):
            items = record.history.item
            history.append({item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items})
        for part in (record.config, record.run.config):
            config |= {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in part.update}
    return history, config


def leveldb_records(log: bytes) -> Iterator[bytes]:
    """The records of a log in LevelDB's format, after the 7 bytes with which W&B begins its first block of 32 KiB."""
    place, record = 7, b""
    log = bytes(7) + log
    while place + 7 <= len(log):
        left = 2**15 - place % 2**15
        if left < 7:  # too little for a header: zeros up to the next block
            place += left
            continue
        length, kind = struct.unpack_from("<HB", log, place + 4)
        record += log[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield record
            record = b""
