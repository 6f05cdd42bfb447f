"""A table in the Trainer of transformers: what reaches the optimizer, on one process and on two, and after a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Trainer

from client import DigestMismatchError
from client.lr_scheduler import TableLR
from client.trainers.huggingface import with_table
from scheduler import ScheduleWarning, Table
from tests.support.preloaded import Preloaded
from tests.trainers import huggingface_runs as runs
from tests.trainers.huggingface_runs import (
    SAVED,
    TABLE,
    TRAININGS,
    UPDATES,
    WAYS,
    Model,
    arguments,
    own_optimizer,
    own_trainer,
    samples,
)
from tests.trainers.support import on_processes, rows_of

WITH_DEEPSPEED = Path(runs.__file__).with_name("huggingface_deepspeed_runs.py")
GROUPS = {"optimizers": 1, "with_table": 2}  # Trainer's own optimizer has one with weight decay and one without


def table_of(updates: int, **layout: Any) -> Table:
    return Table({"lr": [0.5 / (k + 1) for k in range(updates)]}, **layout)


# -- the rates that were applied --------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", TRAININGS)
def test_row_k_reaches_update_k(name: str, way: str, tmp_path: Path) -> None:
    """Each group has the table's row at each update: fresh, with accumulation, and resumed."""
    training, first = TRAININGS[name]
    assert training(WAYS[way], tmp_path) == [rows_of(TABLE, first)] * GROUPS[way]


def test_row_k_reaches_update_k_on_two_processes(preloaded: Preloaded, tmp_path: Path) -> None:
    """Two processes have the rates of one, in all the same trainings."""
    expected = {
        f"{way} {name}": [rows_of(TABLE, first)] * GROUPS[way] for way in WAYS for name, (_, first) in TRAININGS.items()
    }
    assert on_processes(preloaded, Path(runs.__file__), str(tmp_path), timeout=300.0) == [expected] * 2


def test_row_k_reaches_update_k_with_a_deepspeed_configuration(preloaded: Preloaded, tmp_path: Path) -> None:
    """Two processes whose updates DeepSpeed makes have the rows: with accumulation, and from DeepSpeed's checkpoint."""
    firsts = {"fresh": 0, "resumed": SAVED}
    expected = {
        f"{way} {name}": [rows_of(TABLE, first)] * GROUPS[way] for way in WAYS for name, first in firsts.items()
    }
    assert on_processes(preloaded, WITH_DEEPSPEED, str(tmp_path), timeout=300.0) == [expected] * 2


@pytest.mark.parametrize("way", WAYS)
def test_the_log_has_the_rate_of_each_update(way: str, tmp_path: Path) -> None:
    """What Trainer logs after update k, as `learning_rate`, is the rate that update used."""
    trainer, _ = WAYS[way](tmp_path)
    trainer.train()
    assert [entry["learning_rate"] for entry in trainer.state.log_history if "loss" in entry] == rows_of(TABLE)


def test_the_groups_keep_their_weight_decay(tmp_path: Path) -> None:
    """The table's rate goes to both groups, with and without weight decay, and the weight decay is left as it was."""
    trainer, recorder = own_trainer(tmp_path)
    trainer.train()
    assert recorder.rates == [rows_of(TABLE)] * 2
    assert [group["weight_decay"] for group in trainer.optimizer.param_groups] == [0.01, 0.0]


def test_a_second_training_begins_with_row_0(tmp_path: Path) -> None:
    """`train()` called again makes a new scheduler for the same optimizer, as Trainer does with its own."""
    trainer, recorder = own_trainer(tmp_path)
    for _ in range(2):
        trainer.train()
        assert [rates[:UPDATES] for rates in recorder.rates] == [rows_of(TABLE)] * 2


def test_a_subclass_of_trainer_stays_what_it_is(tmp_path: Path) -> None:
    """A Trainer class of one's own keeps its name, its methods and its own optimizer."""

    class Own(Trainer):
        def create_optimizer(self, model: Any = None) -> Any:
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1.0)  # type: ignore[union-attr]  # it has one
            return self.optimizer

    trainer: Any = with_table(Own, TABLE)(Model(), arguments(tmp_path), train_dataset=samples())
    trainer.train()
    assert trainer.optimizer.param_groups[0]["lr"] == TABLE.get_lr(UPDATES)
    assert isinstance(trainer, Own)
    assert type(trainer).__name__ == "Own"


# -- checkpoints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_the_scheduler_in_a_checkpoint_is_small_and_plain(way: str, tmp_path: Path) -> None:
    """scheduler.pt is under 2 kB, and loads with weights_only=True."""
    WAYS[way](tmp_path, save_strategy="steps", save_steps=SAVED)[0].train()
    path = tmp_path / f"checkpoint-{SAVED}" / "scheduler.pt"
    assert path.stat().st_size < 2048
    assert torch.load(path, weights_only=True)["digest"] == TABLE.digest


# -- the table and the training ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "after", "message"),
    [
        (
            9,
            "hold",
            "for 9 updates, and the training makes 7: its last 2 are not used, and the training ends at lr 0.07",
        ),
        (5, "hold", "for 5 updates, and the training makes 7: after them its last row is held"),
        (6, "error", "for 6 updates, and the training makes 7: then it raises PastEndError"),
    ],
)
def test_another_length_is_warned_of_before_the_first_update(
    rows: int, after: Any, message: str, tmp_path: Path
) -> None:
    """A table that is longer or shorter than the training is named with both lengths, before anything is trained."""
    trainer, recorder = own_trainer(tmp_path, table_of(rows, after=after))
    with pytest.raises(ScheduleWarning, match=message):
        trainer.train()
    assert recorder.rates == []


def test_a_table_that_releases_the_rate_may_be_shorter(tmp_path: Path) -> None:
    """A table that hands over to another scheduler at its end is no shorter than meant."""
    trainer, recorder = own_trainer(tmp_path, table := table_of(5, after="release"))
    trainer.train()
    assert recorder.rates == [[*rows_of(table), *rows_of(table, 4) * 2]] * 2


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")  # torch's, of any scheduler
def test_an_optimizer_that_trainer_does_not_use_is_told_at_the_second_update(tmp_path: Path) -> None:
    """With optimizers=(None, scheduler) Trainer makes another optimizer, which the table's rates never reach."""
    optimizer = torch.optim.AdamW((model := Model()).parameters(), lr=1.0)
    pair: Any = (None, TableLR(optimizer, TABLE))
    trainer = Trainer(model, arguments(tmp_path), train_dataset=samples(), optimizers=pair)
    with pytest.raises(ScheduleWarning, match="another optimizer, AdamW, updates the parameters of this TableLR's"):
        trainer.train()
    assert trainer.state.global_step == 1


def test_a_table_of_samples_counts_those_of_all_batches(tmp_path: Path) -> None:
    """On the axis of samples an update is what it takes: devices times batches times their size."""
    table = Table({"lr": [0.1, 0.2, 0.3, 0.4]}, axis="sample", stride=12)
    trainer, recorder = own_trainer(tmp_path, table, gradient_accumulation_steps=3, max_steps=8)
    trainer.train()
    assert recorder.rates == [[0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4]] * 2


@pytest.mark.parametrize("way", WAYS)
def test_another_table_is_taken_up_only_where_it_is_meant(way: str, tmp_path: Path) -> None:
    """A checkpoint of another table is an error; with allow_other_table=True the training goes on with the new one."""
    WAYS[way](tmp_path, save_strategy="steps", save_steps=SAVED)[0].train()
    checkpoint, other = str(tmp_path / f"checkpoint-{SAVED}"), table_of(UPDATES)
    with pytest.raises(DigestMismatchError, match=TABLE.digest):
        WAYS[way](tmp_path, other)[0].train(resume_from_checkpoint=checkpoint)
    trainer, recorder = WAYS[way](tmp_path, other, {"allow_other_table": True})
    trainer.train(resume_from_checkpoint=checkpoint)
    assert recorder.rates == [rows_of(other, SAVED)] * GROUPS[way]


def test_a_scheduler_beside_the_table_is_refused(tmp_path: Path) -> None:
    """Two schedulers, one of optimizers= and the table's, are an error that names the other."""
    optimizer = torch.optim.SGD((model := Model()).parameters(), lr=1.0)
    pair: Any = (optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer))
    trainer = with_table(Trainer, TABLE)(model, arguments(tmp_path), train_dataset=samples(), optimizers=pair)
    with pytest.raises(ValueError, match="has another scheduler too, ConstantLR: take it out of optimizers="):
        trainer.train()


def test_what_is_no_trainer_class_is_refused(tmp_path: Path) -> None:
    """A Trainer object, something else than a table, and a table of epochs are refused at once."""
    with pytest.raises(TypeError, match=r"trainer must be transformers.Trainer or a subclass of it, got <"):
        with_table(own_optimizer(tmp_path)[0], TABLE)
    with pytest.raises(TypeError, match="table must be a Table, got 3"):
        with_table(Trainer, 3)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ValueError, match="the table counts epochs: fetch one of steps"):
        with_table(Trainer, table_of(3, axis="epoch"))
