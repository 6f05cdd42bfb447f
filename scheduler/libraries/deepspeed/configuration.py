"""The schedule of the `scheduler` block of a DeepSpeed configuration."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

from scheduler import builtin
from scheduler.libraries.deepspeed.cycle import LRRangeTest, OneCycle
from scheduler.libraries.deepspeed.warmup import WarmupCosineLR, WarmupDecayLR, WarmupLR
from scheduler.messages.errors import read_json
from scheduler.messages.warnings import ScheduleWarning
from scheduler.schedule import Schedule
from scheduler.texts import abbreviate

Parameters = dict[str, Any]

KINDS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (LRRangeTest, OneCycle, WarmupLR, WarmupDecayLR, WarmupCosineLR)
}
RESUMED = {"last_batch_iteration", "last_epoch"}  # -1 is their default, and all that a configuration means
WITHOUT_BETAS = {"sgd", "rmsprop", "adagrad", "adadelta", "asgd", "rprop"}  # optimizers of torch by their lower names
OF_OBJECTS = ("SequentialLR", "ChainedScheduler", "SWALR")  # SWALR writes its rate into the optimizer's groups
_OPTIMIZER_RATE = "optimizer.params.lr"


class ConfigurationError(ValueError):
    """A configuration that decides no schedule. The message names the field and the value."""


def from_deepspeed(
    configuration: Mapping[str, Any] | str,
    *,
    learning_rate: float | None = None,
    num_training_steps: int | None = None,
    num_warmup_steps: int | None = None,
) -> Schedule | list[Schedule]:
    """The schedule that DeepSpeed (0.19.8) makes of its configuration: one, or a list with one per parameter group.

    Args:
        configuration: the whole configuration or its `scheduler` block, as data or as JSON text.
        learning_rate: rate of the optimizer; by default `optimizer.params.lr` of the configuration.
        num_training_steps: all optimizer steps: what `total_num_steps: "auto"` stands for.
        num_warmup_steps: what `warmup_num_steps: "auto"` stands for; at least 1 is taken, as by transformers.

    The last three are also what transformers' Trainer fills "auto" with: `warmup_max_lr` with the learning rate,
    `warmup_min_lr` with 0. Row k of the table is the rate of optimizer step k: DeepSpeed moves its scheduler after each
    step that was not skipped. As in DeepSpeed, a type that is none of its own is one of torch's. For an optimizer
    without betas `cycle_momentum` is off. An unknown `warmup_type` is "log", with a `ScheduleWarning`.

    Raises `ConfigurationError`, a `ValueError` that names the field, where there is no scheduler block, for unknown
    types and parameters, and for an "auto" that nothing given here fills; `ScheduleError` for values that the schedule
    refuses.
    """
    data = _data(configuration)
    block = _block(data)
    name, given = _type(block), _parameters(block)
    filled = _Filled(data, learning_rate, num_training_steps, num_warmup_steps)
    if name not in KINDS:
        return _torch_twin(name, filled.over(given), filled)
    options = _own(name, filled.over(given), filled)
    return _per_group(KINDS[name], options)


class _Filled:
    """Values that stand in for "auto", and for what the library reads from the optimizer."""

    def __init__(
        self, data: Mapping[str, Any], rate: float | None, training_steps: int | None, warmup_steps: int | None
    ) -> None:
        optimizer = data.get("optimizer")
        self._optimizer: Mapping[str, Any] = optimizer if isinstance(optimizer, Mapping) else {}
        self._given: Parameters = {
            "learning_rate": rate,
            "num_training_steps": training_steps,
            "num_warmup_steps": warmup_steps,
        }

    @property
    def has_betas(self) -> bool:
        """Whether the optimizer has betas, as Adam does; an optimizer that is not named is taken to have them."""
        return str(self._optimizer.get("type", "")).lower() not in WITHOUT_BETAS

    def rate(self, field: str) -> float:
        """The optimizer's rate. Raises `ConfigurationError`, saying which field needs it."""
        parameters = self._optimizer.get("params")
        own = parameters.get("lr") if isinstance(parameters, Mapping) else None
        given = self._given["learning_rate"]
        if given is None and own in (None, "auto"):
            raise ConfigurationError(f"learning_rate must be given for {field}: {_OPTIMIZER_RATE} is {own!r}")
        if given is not None and own not in (None, "auto") and given != own:
            raise ConfigurationError(f"learning_rate must equal {_OPTIMIZER_RATE}, got {given} != {own}")
        rate: float = own if given is None else given  # type: ignore[assignment]  # neither is None here
        return rate

    def over(self, parameters: Parameters) -> Parameters:
        """The parameters with every "auto" filled."""
        return {name: self._auto(name) if value == "auto" else value for name, value in parameters.items()}

    def _auto(self, name: str) -> Any:
        match name:
            case "warmup_min_lr":
                return 0.0
            case "warmup_max_lr":
                return self.rate("scheduler.params.warmup_max_lr 'auto'")
            case "total_num_steps" if self._given["num_training_steps"] is not None:
                return self._given["num_training_steps"]
            case "warmup_num_steps" if (steps := self._given["num_warmup_steps"]) is not None:
                return max(1, int(steps))
        needed = {"total_num_steps": "num_training_steps", "warmup_num_steps": "num_warmup_steps"}.get(name)
        advice = f"{needed} must be given" if needed else "write its value into the configuration"
        raise ConfigurationError(f"scheduler.params.{name} is 'auto', which transformers' Trainer fills: {advice}")


def _data(configuration: Mapping[str, Any] | str) -> Mapping[str, Any]:
    data = read_json(configuration) if isinstance(configuration, str) else configuration
    if not isinstance(data, Mapping):
        raise ConfigurationError(f"a DeepSpeed configuration is a JSON object, got {abbreviate(configuration)}")
    return data


def _block(data: Mapping[str, Any]) -> Mapping[str, Any]:
    block = data.get("scheduler", data if "type" in data else None)
    if "scheduler" in data and not isinstance(block, Mapping):
        raise ConfigurationError(f"scheduler must be an object with type and params, got {abbreviate(block)}")
    if not isinstance(block, Mapping):
        raise ConfigurationError(f'this configuration has no "scheduler" block, only {abbreviate(", ".join(data))}')
    return block


def _type(block: Mapping[str, Any]) -> str:
    name = block.get("type")
    if not isinstance(name, str) or name not in {*KINDS, *builtin.__all__, *builtin.NOT_TWINNED} - {"NOT_TWINNED"}:
        known = ", ".join(KINDS)
        raise ConfigurationError(
            f"scheduler.type must be one of {known}, or a class of torch's, got {abbreviate(name)}"
        )
    if name in builtin.NOT_TWINNED:
        raise ConfigurationError(f"scheduler.type {name!r} has no schedule: {builtin.NOT_TWINNED[name]}")
    return name


def _parameters(block: Mapping[str, Any]) -> Parameters:
    given = block.get("params")
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"scheduler.params must be an object, got {abbreviate(given)}")
    for name in RESUMED & given.keys():
        if given[name] != -1:
            raise ConfigurationError(f"scheduler.params.{name} must be -1, the start of a training, got {given[name]}")
    return {name: value for name, value in given.items() if name not in RESUMED}


def _check_names(name: str, options: Parameters, known: list[str]) -> None:
    if strange := sorted(options.keys() - set(known)):
        raise ConfigurationError(f"scheduler.params of {name} must be among {known}, got {strange}")


def _own(name: str, options: Parameters, filled: _Filled) -> Parameters:
    """The parameters of one of DeepSpeed's classes, as it understands them."""
    kind = KINDS[name]
    _check_names(name, options, [field for field in _names(kind) if field != "base_lr"])
    options = {field: _as_taken(field, value) for field, value in options.items()}
    if name == "WarmupCosineLR":
        options["base_lr"] = filled.rate(name)
    if name == "WarmupLR" and options.get("warmup_max_lr") is None:
        options["warmup_max_lr"] = filled.rate("scheduler.params.warmup_max_lr, which is not set")
    if name == "OneCycle" and not filled.has_betas:
        options["cycle_momentum"] = False
    return options


def _as_taken(field: str, value: Any) -> Any:
    """A parameter's value as the library takes it."""
    if field in ("warmup_num_steps", "lr_range_test_step_size") and (type(value) is not int or value < 1):
        raise ConfigurationError(f"scheduler.params.{field} must be a whole number of at least 1, got {value!r}")
    if field in ("cycle_first_step_size", "cycle_second_step_size") and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value  # to be refused by the kind
    if field == "warmup_type" and value not in ("log", "linear"):
        message = f"DeepSpeed does not know scheduler.params.warmup_type {value!r}, and takes 'log' in its place"
        warnings.warn(message, ScheduleWarning, stacklevel=5)
        return "log"
    return value


def _torch_twin(name: str, options: Parameters, filled: _Filled) -> Schedule:
    """The twin of one of torch's classes, on the optimizer of the configuration."""
    if name in OF_OBJECTS:
        raise ConfigurationError(f"scheduler.type {name!r} cannot be written as JSON: it is made of objects")
    kind: Any = getattr(builtin, name)
    _check_names(name, options, [field for field in _names(kind) if field != "base_lr" or not kind.reads_rate])
    if kind.reads_rate:
        options["base_lr"] = filled.rate(name)
    if "momentum_column" in {field.name for field in dataclasses.fields(kind)}:
        options["momentum_column"] = "beta1" if filled.has_betas else "momentum"
    made: Schedule = kind(**options)
    return made


def _names(kind: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(kind) if not field.kw_only]


def _per_group(kind: type[Any], options: Parameters) -> Schedule | list[Schedule]:
    """A schedule, or one for each parameter group where a parameter is a list with a value for each."""
    lists = {name: value for name, value in options.items() if isinstance(value, list | tuple)}
    lengths = {name: len(value) for name, value in lists.items()}
    if len(set(lengths.values())) > 1:
        raise ConfigurationError(f"scheduler.params must have as many values as there are groups, got {lengths}")
    if not lists:
        return kind(**options)  # type: ignore[no-any-return]  # a kind
    groups = range(next(iter(lengths.values())))
    return [
        kind(**{name: value[group] if name in lists else value for name, value in options.items()}) for group in groups
    ]
