"""Recognise a torch scheduler: its spec is found in its attributes, and proven by stepping a copy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from scheduler import builtin
from scheduler.builtin.twin import Twin
from scheduler.compose import Shift
from scheduler.interop.capture import members
from scheduler.interop.dry_run import TorchScheduler, check
from scheduler.interop.group_fields import momentum_column
from scheduler.messages.errors import ScheduleError
from scheduler.schedule import Schedule
from scheduler.table_format import TableError
from scheduler.views.compare import compare

_MODULES = ("torch.optim.lr_scheduler", "torch.optim.swa_utils")
_LEAST_STEPS = 1000  # of a proof
_LENGTHS = 3  # of a proof, in lengths of the schedule: far enough for what torch does once it is over

Parameters = dict[str, Any]


class DescribeError(ValueError):
    """A scheduler for which there is no schedule with the same values."""


def describe(scheduler: TorchScheduler) -> Schedule | list[Schedule]:
    """The schedule that a scheduler of torch's own applies from now on: one, or a list with one for each group.

    A list is returned only where the groups differ; either is what a `Spec` takes. At the start of a training it is the
    twin in `scheduler.builtin`; later it is that, begun in its middle (`Shift`). The original is not touched.

    It is proven before it is returned: a copy of the scheduler is stepped and must have the same bits, in every column,
    for three times the length that the parameters span (the largest milestone, T_max, a cycle; summed over what is
    nested), and for 1,000 steps at least, or up to where torch refuses to go on. A million steps take seconds.

    Raises `TypeError` for what is no torch scheduler, `CaptureError` for one that needs a metric. Raises
    `DescribeError`, a `ValueError`, where there is no equivalent (functions, classes that are not torch's own,
    parameters that a twin refuses), and where the values differ from the twin's, because the rate was changed from
    outside or is a float32 tensor. `scheduler.capture` takes all of these.
    """
    check(scheduler)
    try:
        twins, position = twins_of(scheduler)
        schedules: list[Schedule] = [Shift(twin, position) if position else twin for twin in twins]
    except ScheduleError as error:
        raise DescribeError(f"no schedule is equivalent to this {_name(scheduler)}: {error}") from error
    found = schedules[0] if all(schedule == schedules[0] for schedule in schedules) else schedules
    _prove(scheduler, found, _rows(twins, position))
    return found


def twins_of(scheduler: TorchScheduler) -> tuple[list[Twin], int]:
    """The twins of a scheduler of torch's own from step 0 on, one for each group and not proven, and its steps so far.

    Nothing is stepped, so that a stand-in with the scheduler's class and attributes will do. Raises `DescribeError`
    where there is no equivalent, `ScheduleError` for parameters that a twin refuses.
    """
    groups = range(len(scheduler.optimizer.param_groups))
    return [_twin(scheduler, group, _base_lr(scheduler, group)) for group in groups], _position(scheduler)


def _name(scheduler: object) -> str:
    return type(scheduler).__name__


def _position(scheduler: Any) -> int:
    """Steps taken so far. A ChainedScheduler does not count its own."""
    return int(scheduler.last_epoch) if hasattr(scheduler, "last_epoch") else _position(scheduler._schedulers[0])


def _base_lr(scheduler: object, group: int) -> float:
    """The rate that the optimizer had before all schedulers: the first member that reads it has noted it."""
    return next((float(member.base_lrs[group]) for member in members(scheduler) if _reads_rate(member)), 0.0)


def _reads_rate(scheduler: object) -> bool:
    return _kind(scheduler).reads_rate


def _kind(scheduler: object) -> type[Twin]:
    """The twin of the scheduler's class."""
    name = _name(scheduler)
    if type(scheduler).__module__ not in _MODULES:
        raise DescribeError(f"{name} is not a class of torch's own, so that its values can only be captured")
    if name in builtin.NOT_TWINNED:
        raise DescribeError(f"no schedule is equivalent to a {name}: {builtin.NOT_TWINNED[name]}")
    kind: type[Twin] = getattr(builtin, name)
    return kind


def _twin(scheduler: Any, group: int, base_lr: float) -> Twin:
    """The twin of a scheduler for one group, from its attributes."""
    kind = _kind(scheduler)
    if read := _PARAMETERS.get(_name(scheduler)):
        given = read(scheduler, group, base_lr)
    else:  # the attributes have the parameters' names
        given = {name: getattr(scheduler, name) for name in _names(kind) if name != "base_lr"}
    return kind(**{"base_lr": base_lr} | given if kind.reads_rate else given)


def _names(kind: Any) -> Iterator[str]:
    return (field.name for field in fields(kind) if not field.kw_only)


# -- classes whose attributes are not their parameters ----------------------------------------------------------------


def _multi_step(scheduler: Any, group: int, base_lr: float) -> Parameters:
    milestones: Counter[int] = scheduler.milestones
    return {"milestones": sorted(milestones.elements()), "gamma": scheduler.gamma}


def _swa(scheduler: Any, group: int, base_lr: float) -> Parameters:
    return {
        "swa_lr": float(scheduler.optimizer.param_groups[group]["swa_lr"]),
        "anneal_epochs": scheduler.anneal_epochs,
        "anneal_strategy": scheduler._anneal_strategy,
    }


def _cyclic(scheduler: Any, group: int, base_lr: float) -> Parameters:
    if scheduler._scale_fn_custom is not None:
        raise DescribeError("no schedule is equivalent to a CyclicLR with a scale_fn: it is a Python function")
    up = round(scheduler.step_ratio * scheduler.total_size)
    return {
        "base_lr": float(scheduler.base_lrs[group]),
        "max_lr": float(scheduler.max_lrs[group]),
        "step_size_up": up,
        "step_size_down": None if scheduler.total_size == 2 * up else scheduler.total_size - up,
        "mode": scheduler.mode,
        "gamma": scheduler.gamma,
        **_momentum(scheduler, _own_momenta(scheduler, group)),
    }


def _own_momenta(scheduler: Any, group: int) -> dict[str, Any]:
    """A CyclicLR's own: in the group, a OneCycleLR that was built later has written over them."""
    names = ("base_momentum", "max_momentum") if scheduler.cycle_momentum else ()
    return {name: getattr(scheduler, f"{name}s")[group] for name in names}


def _one_cycle(scheduler: Any, group: int, base_lr: float) -> Parameters:
    """The parameters of a OneCycleLR. torch keeps only products of some, so the roundest factors are searched for."""
    rates = scheduler.optimizer.param_groups[group]
    ends = [phase["end_step"] for phase in scheduler._schedule_phases[:-1]]
    steps = scheduler.total_steps
    return {
        "total_steps": steps,
        "pct_start": _sought(
            "pct_start", lambda share: _phase_ends(share, steps, len(ends)) == ends, (ends[0] + 1) / steps
        ),
        "anneal_strategy": scheduler._anneal_func_type,
        "three_phase": len(ends) > 1,
        **_momentum(scheduler, rates),
        **_peak(rates, own_initial=float(scheduler.base_lrs[group])),
    }


def _peak(rates: Mapping[str, Any], own_initial: float) -> Parameters:
    """The parameters behind a OneCycleLR's rates: in the group, another that was built later has written over them.

    Of one that was overwritten only the initial rate is left. It is what the members built in between started from; all
    else is the last one's, which decides the rates of both.
    """
    if own_initial != rates["initial_lr"]:
        return {"max_lr": own_initial, "div_factor": 1.0}
    return {
        "max_lr": float(rates["max_lr"]),
        "div_factor": _divisor("div_factor", rates["max_lr"], rates["initial_lr"]),
        "final_div_factor": _divisor("final_div_factor", rates["initial_lr"], rates["min_lr"]),
    }


def _phase_ends(pct_start: float, steps: int, phases: int) -> list[float]:
    """The steps at which torch ends all phases but the last."""
    return [pct_start * steps - 1, 2 * pct_start * steps - 2][:phases]


def _momentum(scheduler: Any, momenta: Mapping[str, Any]) -> Parameters:
    if not scheduler.cycle_momentum:
        return {"cycle_momentum": False}
    return {
        "base_momentum": float(momenta["base_momentum"]),
        "max_momentum": float(momenta["max_momentum"]),
        "momentum_column": momentum_column(scheduler),
    }


def _divisor(name: str, dividend: Any, quotient: Any) -> float:
    if dividend == 0:
        return 1.0  # any would do
    guess = float(dividend) / float(quotient) if quotient else math.inf
    return _sought(name, lambda divisor: divisor > 0 and dividend / divisor == quotient, guess)


def _sought(name: str, fits: Callable[[float], bool], guess: float) -> float:
    """The double with the fewest digits, at the guess or beside it, that fits."""
    rounded = (float(f"{guess:.{digits}g}") for digits in range(1, 18))
    found = next(filter(fits, (*rounded, math.nextafter(guess, 0), math.nextafter(guess, math.inf))), None)
    if found is None:
        raise DescribeError(f"this OneCycleLR keeps no {name}, and none was found that gives its rates")
    return found


def _composite(scheduler: Any, group: int, base_lr: float) -> Parameters:
    return {"schedulers": [_twin(member, group, base_lr) for member in scheduler._schedulers]}


def _sequential(scheduler: Any, group: int, base_lr: float) -> Parameters:
    return {**_composite(scheduler, group, base_lr), "milestones": scheduler._milestones}


_PARAMETERS: dict[str, Callable[[Any, int, float], Parameters]] = {
    "MultiStepLR": _multi_step,
    "SWALR": _swa,
    "CyclicLR": _cyclic,
    "OneCycleLR": _one_cycle,
    "ChainedScheduler": _composite,
    "SequentialLR": _sequential,
}


# -- the proof --------------------------------------------------------------------------------------------------------


def _prove(scheduler: TorchScheduler, schedules: Schedule | list[Schedule], rows: int) -> None:
    try:
        comparison = compare(scheduler, schedules, rows)
    except TableError as error:
        raise DescribeError(f"this {_name(scheduler)} has no table: {error}") from error
    if not comparison.equal:
        found = f"the schedule found for this {_name(scheduler)} has other values{_why(scheduler)}:\n{comparison}"
        raise DescribeError(found)


def _why(scheduler: TorchScheduler) -> str:
    """The reason for other values, where torch does not keep all parameters of the members."""
    names = Counter(map(_name, members(scheduler)))
    twice = [name for name in ("OneCycleLR", "SWALR") if names[name] > 1]
    return f", as of several {' and '.join(twice)} torch keeps the rates of the last alone" if twice else ""


def _rows(twins: list[Twin], position: int) -> int:
    """Number of steps to compare: past every boundary, but not past the end of a OneCycleLR.

    Torch allows one step more there, whose rate no training applies and which may be below 0.
    """
    rows = max(_LEAST_STEPS, _LENGTHS * max(_span(twin.to_dict()) for twin in twins) - position)
    ends = [twin.end - position for twin in twins if twin.end is not None]
    return max(1, min(rows, *ends)) if ends else rows


def _span(data: Any) -> int:
    """Steps that whole numbers in JSON data span: the largest of a list, else their sum."""
    match data:
        case bool():
            return 0
        case int():
            return data
        case dict():
            return sum(map(_span, data.values()))
        case list():
            return max(map(_span, data), default=0)
    return 0
