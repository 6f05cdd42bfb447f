"""What a Lightning module configures gives specs with the right axis, in every form that Lightning takes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, ReduceLROnPlateau, StepLR

from scheduler import Spec, builtin, from_lightning
from scheduler.compose import Constant
from scheduler.interop.lightning import LightningError
from scheduler.interop.recognise import DescribeError
from tests.support.schedules.torch_setups import grouped, sgd

OPTIMIZER = sgd()
COSINE = CosineAnnealingLR(OPTIMIZER, 30)
TWIN = builtin.CosineAnnealingLR(0.1, 30)
BY_EPOCH = Spec(schedule=TWIN, total_steps=30, axis="epoch")
BY_STEP = Spec(schedule=TWIN, total_steps=3000)
CONSTANT = Spec(schedule=Constant(0.1), total_steps=30, axis="epoch")
IN_STEPS = {"scheduler": COSINE, "interval": "step", "frequency": 1, "monitor": "loss", "strict": True, "name": "lr"}
FORMS: dict[str, tuple[Any, list[Spec]]] = {
    "optimizer": (sgd(), [CONSTANT]),
    "optimizers": ([sgd(), sgd()], [CONSTANT, CONSTANT]),
    "two lists": (([OPTIMIZER], [COSINE]), [BY_EPOCH]),
    "two lists, one scheduler": (([OPTIMIZER, sgd()], [COSINE]), [BY_EPOCH, CONSTANT]),
    "two lists, dictionaries": (([OPTIMIZER], [IN_STEPS]), [BY_STEP]),
    "dictionary": ({"optimizer": OPTIMIZER, "lr_scheduler": COSINE}, [BY_EPOCH]),
    "dictionary in a dictionary": ({"optimizer": OPTIMIZER, "lr_scheduler": IN_STEPS}, [BY_STEP]),
    "dictionary without a scheduler": ({"optimizer": sgd()}, [CONSTANT]),
    "dictionaries": ([{"optimizer": OPTIMIZER, "lr_scheduler": IN_STEPS}, {"optimizer": sgd()}], [BY_STEP, CONSTANT]),
    "of the trainer": (
        [SimpleNamespace(scheduler=COSINE, interval="step", frequency=1, reduce_on_plateau=False)],
        [BY_STEP],
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_its_specs(form: str) -> None:
    """Each form that Lightning takes gives one spec for each scheduler, on the axis of its interval."""
    configured, specs = FORMS[form]
    assert from_lightning(configured, max_steps=3000, max_epochs=30) == specs


def test_groups_have_a_schedule_each() -> None:
    """Where the groups have rates of their own, so has the spec."""
    alone, stepped = grouped(0.1, 0.01), grouped(0.1, 0.01)
    specs = from_lightning([alone, {"optimizer": stepped, "lr_scheduler": StepLR(stepped, 3)}], max_epochs=9)
    assert specs[0].schedules == (Constant(0.1), Constant(0.01))
    assert specs[1].schedules == (builtin.StepLR(0.1, 3), builtin.StepLR(0.01, 3))


def frequent(interval: str, frequency: Any) -> dict[str, Any]:
    """A scheduler that is stepped less often."""
    return {"optimizer": OPTIMIZER, "lr_scheduler": {"scheduler": COSINE, "interval": interval, "frequency": frequency}}


@pytest.mark.parametrize(
    ("configured", "given", "stride", "rows"),
    [
        (frequent("epoch", 2), {"max_epochs": 31}, 2, 16),
        (frequent("step", 2), {"max_steps": 30, "batches_per_epoch": 10}, 2, 15),
        (frequent("step", 2), {"max_steps": 30, "batches_per_epoch": 12, "accumulate_grad_batches": 3}, 2, 15),
        (frequent("step", 3), {"max_steps": 30, "batches_per_epoch": 12, "accumulate_grad_batches": 3}, 1, 30),
    ],
)
def test_a_frequency_is_the_stride_of_the_rows(configured: Any, given: Any, stride: int, rows: int) -> None:
    """A scheduler that is stepped every so many epochs, or batches that make whole steps, has longer rows."""
    (spec,) = from_lightning(configured, **given)
    assert (spec.stride, spec.total_steps) == (stride, rows)


@pytest.mark.parametrize(
    ("configured", "given", "message"),
    [
        (None, {}, "configure_optimizers must return an optimizer, .*, got None"),
        (3, {}, "configure_optimizers must return an optimizer, .*, got 3"),
        ({"lr_scheduler": COSINE}, {}, "got one with only lr_scheduler"),
        (([OPTIMIZER], [{"interval": "step"}]), {}, "must have 'scheduler', .*, got interval"),
        (([OPTIMIZER], [{**IN_STEPS, "every": 3}]), {}, r"besides only interval, .*, got \['every'\]"),
        (([OPTIMIZER], [COSINE]), {}, "max_epochs must be given, and at least 1, for interval 'epoch', got None"),
        (([OPTIMIZER], [IN_STEPS]), {"max_steps": 0}, "max_steps must be given, and at least 1, .*, got 0"),
        (frequent("batch", 1), {}, "interval must be 'step' or 'epoch', got 'batch'"),
        (frequent("epoch", 0), {}, "frequency must be a whole number of at least 1, got 0"),
        (frequent("step", 2), {"max_steps": 9}, "batches_per_epoch must be given for interval 'step' with frequency 2"),
        (frequent("step", 2), {"max_steps": 9, "batches_per_epoch": 5}, "must divide batches_per_epoch, got 5"),
        (([OPTIMIZER], [ReduceLROnPlateau(sgd())]), {}, "a ReduceLROnPlateau has no spec: .*amendment of the run"),
        (([OPTIMIZER], [{**IN_STEPS, "reduce_on_plateau": True}]), {}, "a CosineAnnealingLR has no spec: its rates"),
    ],
)
def test_what_has_no_spec_is_refused(configured: Any, given: Any, message: str) -> None:
    """Other forms, missing lengths, and rates that follow a metric are refused with what to do instead."""
    with pytest.raises(LightningError, match=message):
        from_lightning(configured, **given)


def test_a_function_is_left_to_capture() -> None:
    """A scheduler whose rates are a function of Python's has no spec."""
    with pytest.raises(DescribeError, match=r"no schedule is equivalent to a LambdaLR: .*captured"):
        from_lightning(([OPTIMIZER], [LambdaLR(sgd(), lambda step: 1.0)]), max_epochs=9)
