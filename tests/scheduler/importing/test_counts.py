"""What the rows of a saved scheduler count follows from the counts beside it, or is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import StepLR

from scheduler import import_file
from scheduler.importing.options import Options
from tests.support.schedules.torch_setups import advanced, sgd


def saved(folder: Path, position: int, counts: dict[str, Any]) -> Path:
    """A checkpoint with a scheduler at this position, and these counts."""
    scheduler = advanced(StepLR(sgd(), 30), position)
    torch.save({"lr_schedulers": [scheduler.state_dict()], "optimizer_states": [], **counts}, folder / "last.ckpt")
    return folder / "last.ckpt"


def loops(started: int, completed: int, *, is_last_batch: bool) -> dict[str, Any]:
    """The part of Lightning's loops that says how far the epoch is."""
    epochs = {"current": {"ready": started, "started": started, "processed": started, "completed": completed}}
    batches = {"is_last_batch": is_last_batch}
    return {"loops": {"fit_loop": {"epoch_progress": epochs, "epoch_loop.batch_progress": batches}}}


@pytest.mark.parametrize(
    ("position", "counts", "axis"),
    [
        (3, {"epoch": 2, "global_step": 45, **loops(3, 2, is_last_batch=True)}, "epoch"),  # at the end of an epoch
        (3, {"epoch": 3, "global_step": 50, **loops(4, 3, is_last_batch=False)}, "epoch"),  # in its middle
        (4, {"epoch": 4, "global_step": 60, **loops(4, 4, is_last_batch=True)}, "epoch"),  # after fit
        (3, {"epoch": 3, "global_step": 60}, "epoch"),
        (4, {"epoch": 3, "global_step": 60}, "epoch"),
        (45, {"epoch": 2, "global_step": 45, **loops(3, 2, is_last_batch=True)}, "step"),
        (1, {"epoch": 0, "global_step": 1, **loops(1, 0, is_last_batch=False)}, "step"),
    ],
)
def test_the_counts_of_lightning_decide(position: int, counts: dict[str, Any], axis: str, tmp_path: Path) -> None:
    """A scheduler whose position is that of Lightning's epochs counts those, whenever it was saved."""
    assert import_file(saved(tmp_path, position, counts), Options(90)).spec.axis == axis


@pytest.mark.parametrize(
    ("position", "counts", "message"),
    [
        (7, {"epoch": 2, "global_step": 45}, "7 is neither that of Lightning's 45 steps and 2 or 3 epochs"),
        (3, {"epoch": 2, "global_step": 3}, "3 is both that of Lightning's 3 steps and 2 or 3 epochs"),
        (3, {"epoch": 3, "global_step": 60, **loops(4, 3, is_last_batch=True)}, "neither .* 60 steps and 4 epochs"),
        (0, {"epoch": 0, "global_step": 9}, "position 0 is no sign of Lightning's 9 steps and 0 or 1 epochs"),
        (7, {}, "7 is neither that of Lightning's None steps and unknown epochs"),
    ],
)
def test_unknown_counts_are_asked_for(position: int, counts: dict[str, Any], message: str, tmp_path: Path) -> None:
    """Nobody guesses what the rows count: --axis says it."""
    path = saved(tmp_path, position, counts)
    with pytest.raises(ValueError, match=rf"^--axis step or --axis epoch \(axis\) must be given: .*{message}"):
        import_file(path, Options(90))
    assert import_file(path, Options(90, axis="epoch")).spec.axis == "epoch"
    assert import_file(path, Options(90, axis="step")).spec.axis == "step"


def test_a_loop_of_ones_own_counts_calls(tmp_path: Path) -> None:
    """Without Lightning a row is a call of step(), unless the position is that of an epoch beside it."""
    state = advanced(StepLR(sgd(), 30), 7).state_dict()
    torch.save({"scheduler": state, "epoch": 2}, tmp_path / "last.pt")
    found = import_file(tmp_path / "last.pt", Options(90))
    assert (found.spec.axis, found.notes[-1].partition(":")[0]) == ("step", "a row is one call of scheduler.step()")
    torch.save({"scheduler": state, "epoch": 6}, tmp_path / "last.pt")
    with pytest.raises(ValueError, match=r"^--axis step .* position 7 may be that of the checkpoint's epoch 6"):
        import_file(tmp_path / "last.pt", Options(90))
