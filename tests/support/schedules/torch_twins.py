"""Hypothesis strategies for the twins of torch's schedulers: every kind, near its boundaries."""

from __future__ import annotations

from typing import Any

from hypothesis import reject
from hypothesis import strategies as st

from scheduler import ScheduleError, TableError, builtin
from scheduler.builtin.twin import Twin

TWINS: dict[str, type[Twin]] = {
    name: kind for name, kind in vars(builtin).items() if isinstance(kind, type) and issubclass(kind, Twin)
}
"""Class name to class, for every kind."""

Parameters = dict[str, st.SearchStrategy[Any]]

RATES = st.sampled_from([0.0, 1e-5, 1e-3, 0.1, 1.0]) | st.floats(1e-9, 10.0)
COUNTS = st.sampled_from([0, 1, 2, 3]) | st.integers(0, 40)
POSITIVE = st.sampled_from([1, 2, 3]) | st.integers(1, 40)
SHARES = st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]) | st.floats(0.0, 1.0)
FACTORS = st.sampled_from([1e-100, 1e-3, 1.0 / 3, 0.5, 1.0]) | st.floats(1e-6, 1.0)
POWERS = st.sampled_from([0.0, 0.5, 0.9, 1.0, 2.0]) | st.floats(0.0, 5.0)
DIVISORS = st.sampled_from([1.0, 10.0, 25.0, 1e4]) | st.floats(0.1, 1e5)
STRATEGIES = st.sampled_from(["cos", "linear"])
MOMENTA: Parameters = {
    "cycle_momentum": st.booleans(),
    "base_momentum": SHARES.filter(lambda share: share < 1.0),
    "max_momentum": SHARES.filter(lambda share: share < 1.0),
}
PARAMETERS: dict[str, tuple[Parameters, Parameters]] = {
    "ConstantLR": ({}, {"factor": FACTORS | st.just(0.0), "total_iters": COUNTS}),
    "LinearLR": ({}, {"start_factor": FACTORS, "end_factor": SHARES, "total_iters": COUNTS}),
    "StepLR": ({"step_size": POSITIVE}, {"gamma": SHARES | st.just(1.01)}),
    "MultiStepLR": ({"milestones": st.lists(COUNTS, max_size=5)}, {"gamma": SHARES | st.sampled_from([2.0, 1e6])}),
    "ExponentialLR": ({"gamma": SHARES | st.just(1.01)}, {}),
    "PolynomialLR": ({}, {"total_iters": COUNTS, "power": POWERS}),
    "CosineAnnealingLR": ({"T_max": POSITIVE}, {"eta_min": RATES}),
    "CosineAnnealingWarmRestarts": ({"T_0": POSITIVE}, {"T_mult": st.integers(1, 3), "eta_min": RATES}),
    "CyclicLR": (
        {"base_lr": RATES, "max_lr": RATES, "step_size_up": POSITIVE},
        {
            "step_size_down": st.none() | COUNTS,
            "mode": st.sampled_from(["triangular", "triangular2", "exp_range"]),
            "gamma": SHARES,
            **MOMENTA,
        },
    ),
    "OneCycleLR": (
        {"max_lr": RATES, "total_steps": POSITIVE},
        {
            "pct_start": SHARES,
            "anneal_strategy": STRATEGIES,
            "div_factor": DIVISORS,
            "final_div_factor": DIVISORS,
            "three_phase": st.booleans(),
            **MOMENTA,
        },
    ),
    "SWALR": ({"swa_lr": RATES}, {"anneal_epochs": COUNTS, "anneal_strategy": STRATEGIES}),
}
"""Class name to the parameters that are always drawn and those that may be left to their defaults, but for base_lr."""


@st.composite
def twins(draw: st.DrawFn, name: str) -> Twin:
    """Twins of one class with parameters that it accepts; members of a composite agree on the optimizer."""
    data = draw(_data(name, draw(RATES), draw(st.sampled_from(["momentum", "beta1"])), depth=0))
    try:
        twin = _make(data)
        twin.columns(400)
    except (ScheduleError, TableError):  # the latter: it grows beyond every rate
        reject()
        raise
    return twin


def _make(data: dict[str, Any]) -> Twin:
    given = dict(data)
    if "schedulers" in given:
        given["schedulers"] = [_make(member) for member in given["schedulers"]]
    return TWINS[given.pop("class")](**given)


def _data(name: str, base_lr: float, momentum_column: str, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    if name not in PARAMETERS:
        return _composite_data(name, base_lr, momentum_column, depth)
    needed, optional = PARAMETERS[name]
    given: Parameters = {"class": st.just(name), **needed}
    if TWINS[name].reads_rate:
        given["base_lr"] = st.just(base_lr)
    if "cycle_momentum" in optional:
        given["momentum_column"] = st.just(momentum_column)
    return st.fixed_dictionaries(given, optional=optional)


@st.composite
def _composite_data(draw: st.DrawFn, name: str, base_lr: float, momentum_column: str, depth: int) -> dict[str, Any]:
    # only the first member of a SequentialLR may be a composite; composites are drawn twice as often, to be nested
    simple = list(PARAMETERS)
    nested = [*simple, *(["SequentialLR", "ChainedScheduler"] * 4 if depth < 2 else [])]
    count = draw(st.integers(1, 4))
    names = [
        draw(st.sampled_from(nested if index == 0 or name == "ChainedScheduler" else simple)) for index in range(count)
    ]
    members = [draw(_data(member, base_lr, momentum_column, depth + 1)) for member in names]
    data: dict[str, Any] = {"class": name, "schedulers": members}
    if name == "SequentialLR":
        milestones = st.sampled_from([0, 1, 2, 3]) | st.integers(0, 60)
        data["milestones"] = sorted(draw(st.lists(milestones, min_size=count - 1, max_size=count - 1)))
    return data
