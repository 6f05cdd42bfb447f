"""The twins of transformers' schedules equal the real ones, stepped on a real optimizer, bit for bit."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION, get_scheduler
from transformers.trainer_utils import SchedulerType

from scheduler.fields import Values
from scheduler.libraries import transformers as twins
from scheduler.libraries.transformers import ADAPTIVE
from scheduler.schedule import Schedule
from tests.support.schedules.bits import assert_same_bits

Parameters = dict[str, Any]

TWINS: dict[str, type[Schedule]] = {
    kind.kind.removeprefix("transformers."): kind
    for kind in vars(twins).values()
    if isinstance(kind, type) and issubclass(kind, Schedule) and "kind" in vars(kind)
}


def step_scheduler(
    name: str, steps: int, *, base_lr: float, lr_init: float | None = None, **parameters: object
) -> Values:
    """The rates that the real scheduler puts in force during updates 0..steps-1."""
    group = {"params": [torch.nn.Parameter(torch.zeros(1))], "lr": base_lr}
    optimizer = torch.optim.SGD([group], lr=base_lr if lr_init is None else lr_init)
    counts = {count: parameters.pop(count, None) for count in ("num_warmup_steps", "num_training_steps")}
    scheduler = get_scheduler(name, optimizer, **counts, scheduler_specific_kwargs=parameters)  # type: ignore[arg-type]  # any parameters
    optimizer.step()  # the order that torch asks for
    rates = np.empty(steps)
    for step in range(steps):
        rates[step] = optimizer.param_groups[0]["lr"]
        scheduler.step()
    return rates


def make(name: str, parameters: Parameters) -> Schedule:
    """The twin with these parameters."""
    return TWINS[name](**parameters)


COUNTS = st.sampled_from([0, 1, 2, 3]) | st.integers(0, 50)
LENGTHS = st.integers(1, 60) | st.floats(0.01, 60.0)
RATES = st.sampled_from([5e-5, 1e-3, 0.1, 1.0]) | st.floats(1e-9, 10.0)
SHARES = st.sampled_from([0.0, 0.1, 1.0]) | st.floats(0.0, 1.5)
WAVES = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]) | st.floats(0.0, 20.0)
SHAPES = st.sampled_from(["linear", "cosine", "1-sqrt"])
POWERS = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]) | st.floats(0.0, 5.0)
WARMUP: dict[str, st.SearchStrategy[Any]] = {"base_lr": RATES, "num_warmup_steps": COUNTS}
TRAINING = {**WARMUP, "num_training_steps": COUNTS | st.integers(0, 150)}
FLOOR = st.fixed_dictionaries({"min_lr_rate": SHARES}) | st.fixed_dictionaries(
    {"min_lr": RATES | st.just(0.0)}, optional={"lr_init": RATES}
)


def floored(**further: st.SearchStrategy[Any]) -> st.SearchStrategy[Parameters]:
    """Parameters of the two kinds with a floor, given in one of the two ways."""
    others = st.fixed_dictionaries(TRAINING, optional={"num_cycles": WAVES, **further})
    return st.tuples(others, FLOOR).map(lambda drawn: drawn[0] | drawn[1])


def accepted_polynomial(parameters: Parameters) -> bool:
    """Neither of the two refusals, which have their own test."""
    rate = parameters.get("lr_init", parameters["base_lr"])
    reached = parameters["num_warmup_steps"] != parameters["num_training_steps"]
    return bool(reached and parameters.get("lr_end", 1e-7) < rate)


PARAMETERS: dict[str, st.SearchStrategy[Parameters]] = {
    "constant": st.fixed_dictionaries({"base_lr": RATES | st.just(0.0)}),
    "constant_with_warmup": st.fixed_dictionaries(WARMUP),
    "linear": st.fixed_dictionaries(TRAINING),
    "cosine": st.fixed_dictionaries(TRAINING, optional={"num_cycles": WAVES}),
    "cosine_with_restarts": st.fixed_dictionaries(TRAINING, optional={"num_cycles": WAVES}),
    "polynomial": st.fixed_dictionaries(
        TRAINING, optional={"lr_end": st.just(0.0) | st.floats(0.0, 1.0), "power": POWERS, "lr_init": RATES}
    ).filter(accepted_polynomial),
    "inverse_sqrt": st.fixed_dictionaries(WARMUP, optional={"timescale": st.none() | LENGTHS}),
    "cosine_with_min_lr": floored(),
    "cosine_warmup_with_min_lr": floored(warmup_lr_rate=st.none() | SHARES),
    "warmup_stable_decay": st.fixed_dictionaries(
        {**TRAINING, "num_decay_steps": COUNTS | LENGTHS},
        optional={
            "num_stable_steps": st.none() | COUNTS | LENGTHS,
            "warmup_type": SHAPES,
            "decay_type": SHAPES,
            "min_lr_ratio": SHARES,
            "num_cycles": WAVES,
        },
    ),
}

ROUND = {"base_lr": 3e-4, "num_warmup_steps": 10_000, "num_training_steps": 900_000}
STABLE = {**ROUND, "num_decay_steps": 300_000, "min_lr_ratio": 0.01}
LONG = [
    pytest.param("constant", {"base_lr": 3e-4}, id="constant"),
    pytest.param("constant_with_warmup", {"base_lr": 3e-4, "num_warmup_steps": 300_000}, id="constant_with_warmup"),
    pytest.param("linear", ROUND, id="linear"),
    pytest.param("cosine", ROUND, id="cosine"),
    pytest.param("cosine", {**ROUND, "num_cycles": 1234.5}, id="cosine-many-waves"),
    pytest.param("cosine_with_restarts", {**ROUND, "num_cycles": 7.0}, id="cosine_with_restarts"),
    pytest.param("polynomial", ROUND, id="polynomial"),
    pytest.param("polynomial", {**ROUND, "power": 0.9, "lr_end": 1e-6, "lr_init": 1e-3}, id="polynomial-power"),
    pytest.param("inverse_sqrt", {"base_lr": 3e-4, "num_warmup_steps": 10_000}, id="inverse_sqrt"),
    pytest.param("cosine_with_min_lr", {**ROUND, "min_lr": 1e-5}, id="cosine_with_min_lr"),
    pytest.param("cosine_warmup_with_min_lr", {**ROUND, "min_lr_rate": 0.1}, id="cosine_warmup_with_min_lr"),
    pytest.param("warmup_stable_decay", STABLE, id="warmup_stable_decay"),
    pytest.param(
        "warmup_stable_decay",
        {**STABLE, "num_warmup_steps": 200_000, "warmup_type": "1-sqrt", "decay_type": "1-sqrt"},
        id="warmup_stable_decay-1-sqrt",
    ),
    pytest.param(
        "warmup_stable_decay",
        {**STABLE, "num_warmup_steps": 200_000, "warmup_type": "cosine", "decay_type": "linear"},
        id="warmup_stable_decay-mixed",
    ),
]
PAST_EVERY_BOUNDARY = 220  # steps: more than any sum of counts that the strategies draw


def test_every_scheduler_type_has_a_twin_or_a_reason() -> None:
    """Each name of transformers' SchedulerType is a kind here, or is named as adaptive."""
    assert {kind.value for kind in SchedulerType} == TWINS.keys() | ADAPTIVE.keys()
    assert PARAMETERS.keys() == TWINS.keys() == {parameter.values[0] for parameter in LONG}


@pytest.mark.parametrize("name", TWINS)
def test_parameters_are_the_library_functions(name: str) -> None:
    """A twin has the parameters of the library's function, in its order and with its defaults, after `base_lr`."""
    function: Callable[..., object] = TYPE_TO_SCHEDULER_FUNCTION[SchedulerType(name)]  # type: ignore[assignment]  # untyped there
    theirs = inspect.signature(function).parameters
    defaults = {p.name: p.default for p in theirs.values() if p.name not in ("optimizer", "last_epoch")}
    fields = [field for field in dataclasses.fields(TWINS[name]) if not field.kw_only]  # type: ignore[arg-type]  # decorated: a dataclass
    required = {dataclasses.MISSING: inspect.Parameter.empty}
    ours = {field.name: required.get(field.default, field.default) for field in fields}
    assert list(ours.items()) == [("base_lr", inspect.Parameter.empty), *defaults.items()]


@pytest.mark.parametrize("name", TWINS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_equals_stepping_the_real_scheduler(name: str, data: st.DataObject) -> None:
    """Every value has the bits that stepping the real scheduler gives, across and past every boundary."""
    parameters = data.draw(PARAMETERS[name])
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # both of num_training_steps, num_stable_steps
        expected = step_scheduler(name, PAST_EVERY_BOUNDARY, **parameters)
    assert_same_bits(make(name, parameters).values(PAST_EVERY_BOUNDARY), expected)


@pytest.mark.slow(2)
@pytest.mark.parametrize(("name", "parameters"), LONG)
def test_equals_stepping_for_a_million_steps(name: str, parameters: Parameters) -> None:
    """Not one of a million values differs from stepping."""
    assert_same_bits(make(name, parameters).values(1_000_000), step_scheduler(name, 1_000_000, **parameters))


@pytest.mark.parametrize(("name", "parameters"), LONG)
def test_windows_equal_slices(name: str, parameters: Parameters) -> None:
    """A step's value does not depend on where the computation starts, nor on how many steps it covers."""
    shortened = {key: value // 10 if isinstance(value, int) else value for key, value in parameters.items()}
    schedule = make(name, shortened)
    whole = schedule.values(150_000)
    random = np.random.default_rng(3)
    bounds = np.sort(random.integers(0, len(whole), (20, 2)))
    for start, stop in [(0, 1), (32_767, 32_769), (32_768, 65_536), (len(whole) - 1, len(whole)), *bounds.tolist()]:
        window = np.full(stop - start, np.nan)
        schedule.fill(window, start)
        assert_same_bits(window, whole[start:stop])


@pytest.mark.parametrize(("name", "parameters"), LONG)
def test_needs_no_memory_beside_the_table(name: str, parameters: Parameters) -> None:
    """A table is computed in place: beside it a few blocks are all that is ever held."""
    schedule = make(name, parameters)
    schedule.values(1)
    tracemalloc.start()
    try:
        table = schedule.values(300_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - table.nbytes < 600_000


@pytest.mark.parametrize(("name", "parameters"), LONG)
def test_never_ends(name: str, parameters: Parameters) -> None:
    """No twin has an end: past `num_training_steps` the library's own formula goes on."""
    assert make(name, parameters).end is None


def test_cosine_rises_again_past_its_end() -> None:
    """As in the library a cosine is at 0 at step T and back at its peak at 2T - W."""
    rates = twins.Cosine(0.1, 10, 110).values(211)
    assert rates[[0, 10, 110, 210]].tolist() == [0.0, 0.1, 0.0, 0.1]


@pytest.mark.parametrize(
    ("schedule", "boundaries"),
    [
        pytest.param(twins.Constant(0.1), [0, 99], id="constant"),
        pytest.param(twins.ConstantWithWarmup(0.1, 10), [0, 10, 99], id="constant_with_warmup"),
        pytest.param(twins.Linear(0.1, 10, 50), [0, 10, 50, 99], id="linear"),
        pytest.param(twins.Cosine(0.1, 10, 50), [0, 10, 50, 99], id="cosine"),
        pytest.param(twins.CosineWithRestarts(0.1, 10, 50, 4.0), [0, 10, 20, 30, 40, 50, 99], id="restarts"),
        pytest.param(twins.Polynomial(0.1, 10, 50), [0, 10, 51, 99], id="polynomial"),
        pytest.param(twins.InverseSqrt(0.1, 10), [0, 10, 99], id="inverse_sqrt"),
        pytest.param(twins.WarmupStableDecay(0.1, 10, 20, 50), [0, 10, 30, 50, 99], id="warmup_stable_decay"),
    ],
)
def test_boundaries(schedule: Schedule, boundaries: list[int]) -> None:
    """The boundaries are the steps at which the formula changes or a wave restarts, and the two ends."""
    assert schedule.boundaries(100) == boundaries


BOTH, NEITHER = {"min_lr": 1e-5, "min_lr_rate": 0.1}, {"min_lr": None}
COUNTED = {"base_lr": 0.1, "num_warmup_steps": 5, "num_training_steps": 20}


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("polynomial", {"lr_end": 0.1}, r"lr_end must be < base_lr, got 0\.1 >= 0\.1"),
        ("polynomial", {"lr_init": 1e-8}, "lr_end must be < lr_init, got 1e-07 >= 1e-08"),
        ("polynomial", {"num_training_steps": 5}, "num_training_steps must not equal num_warmup_steps, got 5 twice"),
        ("polynomial", {"power": -1.0}, r"power.*greater than or equal to 0.*got -1\.0"),
        (
            "cosine_with_min_lr",
            BOTH,
            "exactly one of min_lr and min_lr_rate must be given, got min_lr=1e-05 and min_lr",
        ),
        ("cosine_with_min_lr", NEITHER, "exactly one of min_lr and min_lr_rate must be given, got min_lr=None and min"),
        (
            "cosine_with_min_lr",
            {"base_lr": 0.0, "min_lr": 0.0},
            r"base_lr must be > 1e-100 \* min_lr, got 0\.0 with min_lr",
        ),
        (
            "cosine_warmup_with_min_lr",
            BOTH,
            "exactly one of min_lr and min_lr_rate must be given, got min_lr=1e-05 and",
        ),
        ("cosine_warmup_with_min_lr", NEITHER, "exactly one of min_lr and min_lr_rate must be given, got min_lr=None"),
        (
            "warmup_stable_decay",
            {"num_decay_steps": 5, "num_training_steps": None},
            "or num_stable_steps must be given",
        ),
        ("warmup_stable_decay", {"num_decay_steps": 5, "warmup_type": "sqrt"}, "warmup_type.*got 'sqrt'"),
        ("warmup_stable_decay", {"num_decay_steps": 5, "decay_type": "sqrt"}, "decay_type.*got 'sqrt'"),
        ("linear", {"num_warmup_steps": -1}, "num_warmup_steps.*greater than or equal to 0.*got -1"),
        ("cosine", {"num_cycles": float("nan")}, "num_cycles.*finite number.*got nan"),
    ],
)
def test_refuses(name: str, parameters: Parameters, message: str) -> None:
    """Parameters that the library refuses, or divides by zero with, are refused by name and value."""
    with pytest.raises(ValueError, match=message):
        make(name, COUNTED | parameters)


@pytest.mark.parametrize("timescale", [0, -5])
def test_inverse_sqrt_refuses_a_timescale_of_nothing(timescale: int) -> None:
    """A timescale of 0 divides by zero in the library, and a negative one has no root."""
    with pytest.raises(ValueError, match=rf"timescale.*greater than or equal to 0\.001.*got {timescale}"):
        twins.InverseSqrt(0.1, 5, timescale)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        pytest.param("polynomial", {"num_training_steps": 5}, id="warmup-as-long-as-training"),
        pytest.param("polynomial", {"power": -1.0}, id="negative-power"),
        pytest.param("polynomial", {"lr_end": 0.1}, id="end-above-start"),
        pytest.param("inverse_sqrt", {"timescale": 0}, id="no-timescale"),
        pytest.param("inverse_sqrt", {"timescale": -5}, id="negative-timescale"),
        pytest.param("cosine_with_min_lr", {}, id="no-floor"),
        pytest.param("cosine_with_min_lr", {"base_lr": 0.0, "min_lr": 0.0}, id="floor-of-nothing"),
    ],
)
def test_what_is_refused_breaks_the_library_too(name: str, parameters: Parameters) -> None:
    """Where a twin refuses, the real scheduler raises, at construction or in the middle of a training."""
    with pytest.raises((ValueError, ZeroDivisionError), match=r"lr_end|min_lr|zero|domain|nonnegative|negative power"):
        step_scheduler(name, PAST_EVERY_BOUNDARY, **(COUNTED | parameters))


def test_needs_neither_transformers_nor_torch() -> None:
    """Importing the twins and computing with them loads neither library."""
    program = (
        "import sys; from scheduler.libraries.transformers import Polynomial; Polynomial(0.1, 5, 20).values(30);"
        "print(sorted(sys.modules.keys() & {'torch', 'transformers'}))"
    )
    result = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "[]", "")
