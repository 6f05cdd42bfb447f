"""A spec as a person types it: a recipe, a kind with its parameters, or the JSON of a schedule or spec."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from scheduler import KINDS, Schedule, Spec, parse
from scheduler.commands.documents import TABLE_SUFFIX, is_document, is_typed_json, read_document
from scheduler.messages.errors import Owner, unknown_parameter
from scheduler.names.lookup import in_any_case, meant_by, not_one_name
from scheduler.recipes import RECIPES, Recipe
from scheduler.spec import stated_length
from scheduler.texts import abbreviate, near_names
from scheduler.views.summary import parameters, signature

MAX_STEPS = 10**8
"""Longest table that a command computes, in rows: its values take 800 MB a column."""

ENDLESS = "the schedule has no end"
"""How the reason for a length begins that nobody typed, and that no schedule states."""

_LENGTHS = 4  # a schedule without an end is shown over this many times its longest step count
_NO_COUNT = 1000  # steps shown of a schedule that has neither an end nor a step count
_ASSIGNMENT = re.compile(r"([A-Za-z_][\w-]*)=(.*)", re.DOTALL)


class TypingError(ValueError):
    """The typed spec is invalid. The message is written for the person who typed it."""


@dataclasses.dataclass
class CommandWords:
    """The words after a command's name, sorted: its own options, values in order, values by name; all its options."""

    options: list[str] = dataclasses.field(default_factory=list)
    positional: list[str] = dataclasses.field(default_factory=list)
    named: dict[str, str] = dataclasses.field(default_factory=dict)
    known: tuple[str, ...] = ()

    @classmethod
    def sort(cls, words: Sequence[str], *, flags: Collection[str], options: Collection[str]) -> CommandWords:
        """Sort words into the command's `flags`, its `options` (with a value each), and what describes a spec."""
        kept, rest = cls(known=(*flags, *options)), iter(words)
        for word in rest:
            if word in flags:
                kept.options.append(word)
            elif word == "--":  # which nothing here needs: a number may begin with a minus sign
                continue
            elif word.startswith("--"):
                name, equals, value = word.partition("=")
                kept._take_option(name, value if equals else next(rest, ""), options)
            elif match := _ASSIGNMENT.fullmatch(word):
                kept._take_named(match[1], match[2])
            else:
                kept.positional.append(word)
        return kept

    def _take_option(self, name: str, value: str, options: Collection[str]) -> None:
        if not value:
            raise TypingError(f"{name} needs a value")
        if name in options:
            self.options.append(f"{name}={value}")
        else:
            self._take_named(name.removeprefix("--"), value)

    def _take_named(self, name: str, value: str) -> None:
        name = name.replace("-", "_")
        if name in self.named:
            raise TypingError(f"{name} is given twice: {self.named[name]} and {value}")
        self.named[name] = value

    def near_option(self, name: str) -> str | None:
        """The command's option that a misspelt name may mean; None for no such."""
        near = near_names(f"--{name}", self.known, most=1, alike=0.75)
        return near[0] if near else None

    def refuse_parameters(self, why: str) -> None:
        """Raise `TypingError` where there are parameters that nothing takes."""
        extra = [*self.positional[1:], *(f"{name}={value}" for name, value in self.named.items())]
        if extra:
            raise TypingError(f"parameters make no sense {why}: {' '.join(extra)}")


def typed_spec(words: CommandWords, steps: int | None) -> tuple[Spec, str]:
    """The spec that was typed, and why it has its length: `steps`, its own, or one that shows its schedule.

    Raises `TypingError` or `ScheduleError`, both `ValueError`, naming the field and the value; `OSError`
    for a file that cannot be read, `RecursionError` for JSON nested too deeply.
    """
    if (found := typed_recipe(words)) is not None:
        recipe = found.spec.model_dump(mode="json")
        own = "as typed" if "total_steps" in found.given else "as the recipe says"
        why = own if steps is None else "as asked"
        return _bounded(recipe if steps is None else recipe | {"total_steps": steps}), why
    data = _typed_data(words)
    spec = data if isinstance(data, dict) and "schedule" in data and "kind" not in data else {"schedule": data}
    if steps is None and "total_steps" in spec:
        return _bounded(spec), "as the spec says"
    steps, why = _length(_schedules(spec["schedule"])) if steps is None else (steps, "as asked")
    return _bounded(spec | {"total_steps": steps}), why


def typed_recipe(words: CommandWords) -> Recipe | None:
    """The recipe that was typed, by its name in any case or by an alias, with its parameters; None for anything else.

    A recipe's name goes before a file of that name, a file before an alias. Raises `ScheduleError` and `TypingError`
    for parameters that it does not have.
    """
    word = words.positional[0]
    name = in_any_case(word, RECIPES)
    if name is None and not is_document(word):
        found = meant_by(word, (*RECIPES, *KINDS))
        name = found[0] if len(found) == 1 and found[0] in RECIPES else None
    if name is None:
        return None
    if extra := words.positional[1:]:
        takes = ", ".join(RECIPES[name].parameters)
        raise TypingError(f"{name} takes its parameters by name, as name=value: {takes}; got {' '.join(extra)}")
    by_case = {known.lower(): known for known in RECIPES[name].parameters}
    given = {by_case.get(typed.lower(), typed): _value(text) for typed, text in words.named.items()}
    return RECIPES[name].with_parameters(**given)


def typed_schedules(text: str) -> Any:
    """The JSON data of a schedule, or of a list of them, that was typed as one word.

    It is JSON, a file of it, or a kind with its parameters: `"Ramp previous 0 10000"`. A schedule that starts from
    "previous" is fine here. Raises what `typed_spec` raises.
    """
    words = one_word(text)
    data = _typed_data(words)
    _schedules(data)
    return data


def _schedules(data: Any) -> list[Schedule]:
    """The schedules in the JSON data of one, or of a list with one for each parameter group."""
    return [parse(json.dumps(item)) for item in (data if isinstance(data, list) else [data])]


def one_word(text: str) -> CommandWords:
    """The words of a kind with its parameters, or of JSON or a file, that were typed as one word."""
    is_one = is_typed_json(text) or text.endswith(TABLE_SUFFIX) or os.path.exists(text)
    words = CommandWords.sort([text] if is_one else _split(text), flags=(), options=())
    if not words.positional:
        raise TypingError(f"this names no kind and no file: {text!r}")
    return words


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise TypingError(f"{error} in {abbreviate(text)}") from error


def _typed_data(words: CommandWords) -> Any:
    """The JSON data that was typed, in whatever way."""
    if not is_document(words.positional[0]):
        return _from_parameters(words)
    words.refuse_parameters("beside JSON")
    return read_document(words.positional[0])


def _from_parameters(words: CommandWords) -> dict[str, Any]:
    """The JSON data of a schedule from a kind's name and its parameters."""
    kind = typed_kind(words.positional[0])
    names = [field.name for field in dataclasses.fields(kind) if not field.kw_only]  # type: ignore[arg-type]  # a kind is a dataclass
    values = words.positional[1:]
    if len(values) > len(names):
        most = "1 parameter" if len(names) == 1 else f"{len(names)} parameters"
        raise TypingError(f"{signature(kind)} takes {most}, got {len(values)}: {' '.join(values)}")
    data = {name: _value(text) for name, text in zip(names, values, strict=False)}
    for typed, text in words.named.items():
        name = _parameter(kind, typed, words.near_option(typed))
        if name in data:
            raise TypingError(f"{name} is given twice: {data[name]} and {text}")
        data[name] = _value(text)
    missing = [name for name, written in parameters(kind).items() if name == written and name not in data]
    if missing:
        raise TypingError(
            f"{signature(kind)} needs {', '.join(missing)}; 'lrtables show {kind.kind} --help' explains them"
        )
    return {"kind": kind.kind, **data}


def _value(text: str) -> Any:
    """A parameter's value: JSON, or a number as Python writes it, or a list with commas, or the text itself."""
    for read in (json.loads, int, float):
        try:
            return read(text)
        except ValueError:
            pass
    if "," in text:
        return [_value(item.strip()) for item in text.split(",") if item.strip()]
    return text


def typed_name(name: str) -> str:
    """The name of the kind or recipe that was typed: in any case, without a library's prefix, or by an alias.

    Raises `TypingError` where it means none, or several, and names those that it may mean.
    """
    names = (*RECIPES, *KINDS)
    found = meant_by(name, names)
    if len(found) == 1:
        return found[0]
    place = "; it is a directory here, and a file is needed" if os.path.isdir(name) else ""
    raise TypingError(f"{not_one_name(name, found, names, ', nor a recipe')}{place}")


def typed_kind(name: str) -> type[Schedule]:
    """The kind that was typed, as `typed_name` finds it. Raises `TypingError`."""
    found = typed_name(name)
    if found in RECIPES:
        raise TypingError(f"{found} is a recipe, and a kind of schedule is needed")
    return KINDS[found]


def _parameter(kind: type[Schedule], typed: str, option: str | None) -> str:
    """A kind's parameter as it is spelled, from what was typed: `t_max` is `T_max`; it may have meant an option."""
    names = parameters(kind)
    for name in (typed, *(name for name in names if name.lower() == typed.lower())):
        if name in names:
            return name
    if option is not None and not near_names(typed, names):
        raise TypingError(f"{kind.kind} has no parameter {abbreviate(typed)}: did you mean {option}?")
    raise TypingError(unknown_parameter(typed, Owner(kind.kind, kind)))


def _length(schedules: Sequence[Schedule]) -> tuple[int, str]:
    """Default number of steps to show, and the reason for it."""
    ends = [schedule.end for schedule in schedules if schedule.end is not None]
    stated = [schedule.stated_steps for schedule in schedules if schedule.stated_steps]
    if ends or stated:
        steps = stated_length(schedules) or (min(ends) if ends else max(stated))  # no table goes past an end
        made_for = "the steps that the schedule is made for; --steps changes it"
        return steps, "where the schedule ends" if steps in ends else made_for
    count = max((count for schedule in schedules for count in _counts(schedule.to_dict())), default=0)
    if count:
        return _LENGTHS * count, f"{ENDLESS}: {_LENGTHS} x its longest step count; --steps changes it"
    return _NO_COUNT, f"{ENDLESS}; --steps changes it"


def _counts(data: Any) -> Iterator[int]:
    """Every whole number in JSON data."""
    if isinstance(data, int) and not isinstance(data, bool):
        yield data
    elif isinstance(data, dict | list):
        for item in data.values() if isinstance(data, dict) else data:
            yield from _counts(item)


def _bounded(data: dict[str, Any]) -> Spec:
    spec = Spec.model_validate_json(json.dumps(data))
    if spec.total_steps > MAX_STEPS:
        raise TypingError(
            f"at most {MAX_STEPS:,} steps are computed here, got {spec.total_steps:,}: choose with --steps"
        )
    return spec
