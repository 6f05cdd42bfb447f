"""The schedule in a torch scheduler's saved state, in which its class is not: it is recognised by the state's keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any

from scheduler.interop.recognise import DescribeError, twins_of
from scheduler.interop.state_fields import (
    Groups,
    State,
    StateError,
    check_depth,
    check_group_counts,
    check_position,
    checked,
    checked_groups,
)
from scheduler.messages.errors import ScheduleError
from scheduler.schedule import Schedule
from scheduler.table_format import TableError
from scheduler.texts import abbreviate

COMMON_KEYS = {
    *("base_lrs", "last_epoch", "verbose", "_step_count", "_last_lr", "_is_initial", "_initial_step"),
    *("_get_lr_called_within_step", "_scale_fn_custom", "use_beta1"),
}
"""Keys that say nothing about the class."""
KEYS: Mapping[str, set[str]] = MappingProxyType(
    {
        "StepLR": {"step_size", "gamma"},
        "MultiStepLR": {"milestones", "gamma"},
        "ConstantLR": {"factor", "total_iters"},
        "LinearLR": {"start_factor", "end_factor", "total_iters"},
        "ExponentialLR": {"gamma"},
        "PolynomialLR": {"total_iters", "power"},
        "CosineAnnealingLR": {"T_max", "eta_min"},
        "CosineAnnealingWarmRestarts": {"T_0", "T_i", "T_mult", "eta_min", "T_cur"},
        "CyclicLR": {
            *("max_lrs", "total_size", "step_ratio", "mode", "gamma", "scale_mode"),
            *("cycle_momentum", "base_momentums", "max_momentums"),
        },
        "OneCycleLR": {"total_steps", "_schedule_phases", "_anneal_func_type", "cycle_momentum"},
        "SWALR": {"anneal_epochs", "_anneal_strategy"},
        "SequentialLR": {"_schedulers", "_milestones"},
        "ChainedScheduler": {"_schedulers"},
        "LambdaLR": {"lr_lambdas"},
        "MultiplicativeLR": {"lr_lambdas"},
        "ReduceLROnPlateau": {"factor", "patience", "threshold", "cooldown"},
    }
)
"""The keys of each class's state that are its own."""
OPTIONAL_KEYS = {"base_momentums", "max_momentums"}  # where no momentum cycles
_COMPOSITES = ("SequentialLR", "ChainedScheduler")
_IN_GROUPS = ("OneCycleLR", "SWALR")  # torch keeps their rates in the optimizer's groups
REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "LambdaLR": "its rates come from a Python function, which no state holds. Write the function as a schedule, or "
        "capture the scheduler where it is made: scheduler.capture(scheduler, total_steps). One that transformers' "
        "Trainer made is in the JSON of its arguments",
        "MultiplicativeLR": "its factors come from a Python function: scheduler.capture(scheduler, total_steps)",
        "ReduceLROnPlateau": "its rates follow the metrics of the training. Train with a table, and scale or shorten "
        "it by an amendment of the run where the metric stalls",
    }
)
"""Classes that have no schedule: why, and what to do instead."""


@dataclass(frozen=True)
class SavedScheduler:
    """The schedule of a saved scheduler."""

    name: str
    """Its class."""
    schedule: Schedule | list[Schedule]
    """From step 0: one for all parameter groups, or one for each."""
    position: int
    """Steps that it had taken when it was saved: `last_epoch`."""
    rates_agree: bool
    """Whether the state holds the rates of that step, which are then those of the schedule, bit for bit."""
    unproven: tuple[str, ...] = ()
    """What no state says, so that the schedule is not proven for it: a sentence for each."""


def from_torch_state(state: State, *, groups: Groups | None = None, class_name: str | None = None) -> SavedScheduler:
    """The schedule of a scheduler of torch's, from what its `state_dict()` returned.

    Args:
        state: the state, as it was saved in a checkpoint. A Lightning checkpoint has it in `lr_schedulers`.
        groups: `param_groups` of the optimizer's state, where OneCycleLR and SWALR keep their rates.
        class_name: the class, such as "CosineAnnealingLR", where the state's keys are those of several.

    The state's own rates (`_last_lr`) are compared with the schedule's at that step, bit for bit.

    Raises `StateError`, a `ValueError`: for keys of no class, or of several (naming them), for a key that is missing or
    has a value of another type (naming both), for classes whose rates no state holds (`LambdaLR`,
    `ReduceLROnPlateau`), where `groups` are needed, and where the rates differ, because they were changed from outside
    or the class is another one. Needs torch.
    """
    if not isinstance(state, Mapping):
        raise StateError(f"the state of a scheduler must be a dict, got {abbreviate(state)}")
    name = _recognised(state, class_name)
    leaves: list[_Leaf] = []
    scheduler = _restored(state, name, leaves)
    scheduler_groups = _groups(leaves, groups)
    for leaf in leaves:
        check_group_counts(leaf.fields, len(scheduler_groups), leaf.place)
    _attach(scheduler, SimpleNamespace(param_groups=scheduler_groups))
    try:
        twins, position = twins_of(scheduler)
    except (DescribeError, ScheduleError) as error:
        raise StateError(f"no schedule is equivalent to this {name}: {error}") from error
    check_position("" if hasattr(scheduler, "last_epoch") else "_schedulers[0].", position)
    last = leaves[0].fields.get("_last_lr")
    _check_rates(name, twins, position, last)
    found: Schedule | list[Schedule] = twins[0] if all(twin == twins[0] for twin in twins) else list(twins)
    return SavedScheduler(name, found, position, last is not None, tuple(_unproven(leaves, class_name, state)))


def _unproven(leaves: Sequence[_Leaf], class_name: str | None, state: State) -> Iterator[str]:
    names = ", ".join(dict.fromkeys(leaf.name for leaf in leaves))
    told = f"{class_name} is what you say" if class_name else f"{names} was told by the keys"
    yield f"not proven for a subclass with other rates: a state names no class, and {told}"
    if any(leaf.name == "CyclicLR" for leaf in leaves):
        yield "not proven for a CyclicLR with a scale_fn: a Python function is in no state"
    if more := sorted(map(str, state.keys() - COMMON_KEYS - KEYS[leaves[0].name])):
        yield f"not proven for {abbreviate(', '.join(more))}: no {leaves[0].name} has such keys, and they were not read"


def is_state(value: object) -> bool:
    """Whether data look like the state of a scheduler."""
    if not isinstance(value, Mapping):
        return False
    return "_schedulers" in value or (
        "last_epoch" in value and bool(value.keys() & {"base_lrs", "_last_lr", "best", "digest"})
    )


def candidates(state: State) -> list[str]:
    """The classes whose keys a state has: those that have no others, else those with the most."""
    own = state.keys() - COMMON_KEYS
    exact = [name for name, keys in KEYS.items() if keys - OPTIONAL_KEYS <= own <= keys]
    return exact or [name for name, keys in KEYS.items() if keys - OPTIONAL_KEYS <= own]


def _recognised(state: State, class_name: str | None) -> str:
    own = sorted(map(str, state.keys() - COMMON_KEYS))
    if {"digest", "axis", "last_epoch"} <= state.keys():
        raise StateError(_of_table(state))
    if class_name is not None:
        return _checked(state, class_name, own)
    if state.keys() == {"last_batch_iteration"}:
        raise StateError("this is the state of a DeepSpeed scheduler, which holds no parameters: import ds_config.json")
    found = candidates(state)
    if set(found) == {"LambdaLR", "MultiplicativeLR"}:
        raise StateError(f"this is the state of a LambdaLR (or MultiplicativeLR): {REFUSED['LambdaLR']}")
    if not found:
        raise StateError(f"this is the state of no scheduler of torch's: its keys are {abbreviate(', '.join(own))}")
    if found == ["ReduceLROnPlateau"]:  # has further keys, which versions of torch change
        return _checked(state, found[0], own)
    if len(found) > 1 or state.keys() - COMMON_KEYS - KEYS[found[0]]:
        names, keys = ", ".join(found), abbreviate(", ".join(own))
        raise StateError(
            f"this state may be that of {names}: say which it is (--class, class_name). Its keys are {keys}"
        )
    return _checked(state, found[0], own)


def _of_table(state: State) -> str:
    """What there is to say about the state of a TableLR."""
    digest, run = str(state["digest"]), state.get("run")
    followed = "" if run is None else f", of run {abbreviate(run)}, version {abbreviate(state.get('version'))}"
    return (
        f"this is the state of a TableLR: table {digest[:64]}{followed}, position {abbreviate(state['last_epoch'])}. "
        f"The table has its spec: client.get({digest[:64]!r})"
    )


def _checked(state: State, name: str, own: list[str]) -> str:
    if name not in KEYS:
        raise StateError(f"class_name must be one of {', '.join(KEYS)}, got {abbreviate(name)}")
    if missing := sorted(KEYS[name] - OPTIONAL_KEYS - state.keys()):
        raise StateError(f"the state of a {name} has {', '.join(missing)}; this one has {abbreviate(', '.join(own))}")
    if name in REFUSED:
        raise StateError(f"a {name} has no schedule: {REFUSED[name]}")
    return name


@dataclass(frozen=True)
class _Leaf:
    """The state of a scheduler that has no members, or the rates of one that has."""

    name: str
    fields: Mapping[str, Any]
    place: str


def _restored(state: State, name: str, leaves: list[_Leaf], place: str = "") -> Any:
    """A scheduler of torch's with this state, without its optimizer. It is not to be stepped."""
    from torch.optim import lr_scheduler, swa_utils  # noqa: PLC0415  # an extra, and slow to import

    check_depth(place)
    fields = checked(state, name, KEYS[name] - OPTIONAL_KEYS, place)
    scheduler = object.__new__(getattr(swa_utils if name == "SWALR" else lr_scheduler, name))
    custom = state.get("_scale_fn_custom")
    vars(scheduler).update({"use_beta1": False, "_scale_fn_custom": custom, "_last_lr": None, **fields})
    leaves.append(_Leaf(name, fields, place))
    if name in _COMPOSITES:
        members = enumerate(fields["_schedulers"])
        scheduler._schedulers = [
            _member(member, leaves, f"{place}_schedulers[{number}].") for number, member in members
        ]
    return scheduler


def _member(state: State, leaves: list[_Leaf], place: str) -> Any:
    try:
        name = _recognised(state, None)
    except StateError as error:
        raise StateError(f"{place[:-1]}: {error}") from None
    return _restored(state, name, leaves, place)


def _groups(leaves: Sequence[_Leaf], groups: Groups | None) -> list[dict[str, Any]]:
    """What the schedulers read from the optimizer's groups; nothing where none of them reads from there."""
    read = [leaf for leaf in leaves if leaf.name in _IN_GROUPS]
    if groups is None and read:
        raise StateError(
            f"a {read[0].name} keeps its rates in the optimizer's groups: give groups=optimizer_state['param_groups'], "
            "too"
        )
    if groups is not None:
        momentum = any(leaf.fields.get("cycle_momentum") for leaf in read)
        return checked_groups(groups, {leaf.name for leaf in read}, momentum=momentum)
    rates = next(leaf.fields["base_lrs"] for leaf in leaves if "base_lrs" in leaf.fields)
    return [{} for _ in rates]


def _attach(scheduler: Any, optimizer: SimpleNamespace) -> None:
    scheduler.optimizer = optimizer
    for member in getattr(scheduler, "_schedulers", ()):
        _attach(member, optimizer)


def _check_rates(name: str, twins: Sequence[Schedule], position: int, last: Sequence[float] | None) -> None:
    """Raise `StateError` where the rates of the state are not those of the schedules at its step."""
    for group, (twin, rate) in enumerate(zip(twins, last or (), strict=False)):
        step = position if twin.end is None else min(position, twin.end)
        try:
            expected = float(twin.get_lr(step))
        except TableError as error:
            raise StateError(f"the {name} that the state describes has no rate at its position: {error}") from error
        if expected != float(rate):
            raise StateError(
                f"the state's rate at step {position} is {float(rate)!r} in group {group}, that of the {name} which it "
                f"describes {expected!r}: its rates were changed from outside, or its class is another one"
            )
