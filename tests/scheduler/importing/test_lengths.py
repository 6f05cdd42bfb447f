"""The table of a saved scheduler has all rows up to those that are held, or its length is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, OneCycleLR, PolynomialLR

from scheduler import builtin, import_file
from scheduler.importing.lengths import length
from scheduler.importing.options import Options
from scheduler.libraries import deepspeed
from tests.support.schedules.torch_setups import advanced, sgd


@pytest.mark.parametrize(
    ("made", "position", "message"),
    [
        (lambda o: ConstantLR(o, 0.5, 5), 13, "the schedule has no end, and the file no length"),
        (lambda o: CosineAnnealingLR(o, 50), 70, "names 50 steps, and its lr still changes"),
        (lambda o: CosineAnnealingLR(o, 50), 7, "names 50 steps, and its lr still changes"),
        (lambda o: PolynomialLR(o, 20), 25, r"names 20 steps, .* to 0\.0 at step 20"),
        (lambda o: LinearLR(o, 1.0, 0.5, 20), 3, r"names 20 steps, .* at step 20"),
    ],
)
def test_rows_after_the_stated_ones_are_asked_for(made: Any, position: int, message: str, tmp_path: Path) -> None:
    """Where the rate still changes after the steps that a class names, nobody guesses the length of the training."""
    scheduler = advanced(made(sgd()), position)
    torch.save({"scheduler": scheduler.state_dict()}, tmp_path / "last.pt")
    with pytest.raises(ValueError, match=rf"^--steps \(total_steps\) must be given: (this torch\.\w+ )?{message}"):
        import_file(tmp_path / "last.pt")
    with pytest.raises(ValueError, match=rf"^--steps .* must be at least the scheduler's position {position}, got 2$"):
        import_file(tmp_path / "last.pt", Options(2))
    found = import_file(tmp_path / "last.pt", Options(position + 1))
    assert found.spec.schedules[0].get_lr(position) == scheduler.get_last_lr()[0]


def test_the_steps_of_a_training_are_its_length(tmp_path: Path) -> None:
    """A schedule that ends, and a parameter that means all steps of the training, give the length."""
    assert length([builtin.OneCycleLR(0.1, 30)], None, 30) == (30, "where the schedule ends")
    assert length([deepspeed.WarmupDecayLR(90)], None)[0] == 90
    with pytest.raises(
        ValueError, match="at least the scheduler's position 91, where this schedule, by itself, has 90"
    ):
        length([deepspeed.WarmupDecayLR(90)], None, 91)
    scheduler = advanced(OneCycleLR(optimizer := sgd(), 0.1, 30), 7)
    torch.save({"scheduler": scheduler.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "last.pt")
    assert import_file(tmp_path / "last.pt").spec.total_steps == 30
