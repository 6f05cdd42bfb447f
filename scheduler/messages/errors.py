"""Errors in a schedule or a spec: one translation of pydantic's errors for Python, the commands and the server.

Python raises them as a `ScheduleError`, commands print them on one line, the server returns one `Problem` for each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ArgsKwargs

from scheduler.names.lookup import in_any_case, near_to, why_no_schedule
from scheduler.texts import abbreviate, near_names

MOST_PROBLEMS = 20
"""Problems that are told: a list of a thousand bad values must not become a thousand lines."""

ABSENT = object()
"""Stands for a value that was not found."""

Path = tuple[str | int, ...]
"""Keys and indices that lead from the outermost data to a value."""

_SUBJECTS = re.compile(
    r"^(?:Value error, |(?:Input|Value|String|Tuple|List|Dictionary) (?=should))"
)  # of pydantic's sentences
_COUNT = re.compile(r" after validation, not .*$")
ClassesByKind = Mapping[str, type[Any]]
"""Kind name to class."""

_LONGEST_PATH = 40  # parts: more than any schedule that is nested as deeply as one may be
_NO_KINDS: ClassesByKind = MappingProxyType({})
_COMMON = "custom.WarmupWithDecay"  # the kind that is named to who gives none


class Problem(NamedTuple):
    """One thing that is wrong with data.

    Args:
        path: where it is.
        subject: what the text is about, as a path: the value, or what it is in.
        text: what is wrong: words that continue the subject's name, or else a sentence of its own.
        continues: which of the two the text is.
        value: what was found at the path.
    """

    path: Path
    subject: Path
    text: str
    continues: bool = False
    value: Any = ABSENT


class ScheduleError(ValueError):
    """A schedule, or a spec, that cannot be: one line for each thing that is wrong, the first one first.

    `problems` has the same as data. A copy that was pickled has the lines alone: what was given may be anything.
    """

    def __init__(self, message: str, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[type[ScheduleError], tuple[Any, ...]]:
        return type(self), self.args


class Owner(NamedTuple):
    """The owner of the data: its name in errors, and the class that defines its parameters."""

    name: str
    kind: type[Any] | None = None

    @property
    def parameters(self) -> list[str]:
        """The names of its parameters, in order."""
        fields: Mapping[str, Any] = getattr(self.kind, "__pydantic_fields__", {})
        return [name for name in fields if name != "kind"]


def schedule_error(error: ValidationError, data: Any, owner: Owner, kinds: ClassesByKind = _NO_KINDS) -> ScheduleError:
    """Pydantic's error as ours; the parameters are those of `translate`."""
    found = translate(error, data, owner, kinds)
    lines = [line(problem, owner.name) for problem in _merged(found)]
    if error.error_count() > 2 * MOST_PROBLEMS:
        lines.append("and more")
    return ScheduleError("\n".join(lines), found)


def translate(error: ValidationError, data: Any, owner: Owner, kinds: ClassesByKind = _NO_KINDS) -> list[Problem]:
    """Translate pydantic's error into at most `MOST_PROBLEMS` problems.

    Args:
        error: of pydantic.
        data: what was validated: the JSON data, or a constructor's arguments by name; `ABSENT` where it is unknown.
        owner: what the data is for.
        kinds: kind name to class, for the schedules inside that are JSON data.
    """
    if _is_bare_schedule(data, owner, kinds):
        return [Problem((), (), "this is a schedule, and a spec is needed: {'schedule': ..., 'total_steps': ...}")]
    details = error.errors(include_url=False)[: 2 * MOST_PROBLEMS]
    found = [problem for detail in details for problem in _problem(detail, data, owner, kinds)]
    misspelt = {meant for detail in details for meant in _meant(detail, data, owner, kinds)}
    return [each for each in found if not (each.text.startswith(_MISSING) and each.path in misspelt)][:MOST_PROBLEMS]


def _is_bare_schedule(data: Any, owner: Owner, kinds: ClassesByKind) -> bool:
    """Whether a schedule was given where a spec, which holds one, is needed."""
    is_schedule = isinstance(data, dict) and _kind_in(data.get("kind"), kinds) is not None
    return is_schedule and {"schedule", "total_steps", "axis"} <= {*owner.parameters} and "schedule" not in data


def read_json(text: str | bytes | bytearray) -> Any:
    """The data in JSON text that was refused, to find places in it; `ABSENT` where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return ABSENT


def rule(detail: Mapping[str, Any]) -> str:
    """Pydantic's message about a value, as words that continue its name: "should be a valid number"."""
    text = _COUNT.sub("", _SUBJECTS.sub("", "; ".join(str(detail["msg"]).splitlines())))
    return text.replace("a valid tuple", "a list").replace("an instance of Sequence", "a list")


def unknown_parameter(name: str, owner: Owner) -> str:
    """The sentence about a parameter that there is none of: with those of a similar name, or all."""
    near = near_names(name, owner.parameters)
    advice = f"did you mean {_alternatives(near)}?" if near else f"it has {', '.join(owner.parameters)}"
    return f"{owner.name} has no parameter {abbreviate(name)}: {advice}"


def unknown_kind(kind: object, kinds: Iterable[str]) -> str:
    """The sentence about a kind that there is none of: why, or those of a similar name, or where all are."""
    why = None if kind is None else why_no_schedule(str(kind))
    if why is not None:
        return f"{abbreviate(kind)} is no schedule: {why}"
    near = [] if kind is None else near_kinds(str(kind), kinds)
    advice = f"did you mean {_alternatives(near)}?" if near else "'lrtables show' and /v1/schedules list them all"
    return f"unknown kind {abbreviate(kind)}: {advice}"


def near_kinds(name: str, kinds: Iterable[str]) -> list[str]:
    """The kinds that a misspelt name may mean, whatever the prefix of their library; the nearest first."""
    return near_to(name, kinds)


def _kind_in(name: object, kinds: ClassesByKind) -> str | None:
    """The kind that a name in data means, whatever the case of its letters; None where it is none."""
    return in_any_case(name, kinds) if isinstance(name, str) else None


# -- one problem ------------------------------------------------------------------------------------------------------

_MISSING = "is missing"


def _problem(detail: Any, data: Any, owner: Owner, kinds: ClassesByKind) -> Iterator[Problem]:
    value = ABSENT if isinstance(detail["input"], ArgsKwargs) else detail["input"]  # of a constructor
    is_own = len(detail["loc"]) == 1 and detail["loc"][0] in owner.parameters  # given, missing, or a default
    path = _real_path(detail["loc"], data, missing=is_own or detail["type"] == "missing")
    match detail["type"]:
        case "too_short" if isinstance(value, Sized) and len(value) >= detail["ctx"]["min_length"]:
            return  # too short only because of items that were refused, which have problems of their own
        case "missing":
            text = detail["msg"] if detail["msg"].startswith(_MISSING) else _MISSING  # of ours, or pydantic's
            yield Problem(path, path, text, continues=True)
        case "extra_forbidden" | "unexpected_keyword_argument":
            text = unknown_parameter(str(detail["loc"][-1]), _owner(path, data, owner, kinds))
            yield Problem(path, path[:-1], text, value=value)
        case "union_tag_not_found":
            yield Problem((*path, "kind"), path, f"has no kind, such as {_COMMON}", continues=True)
        case "union_tag_invalid":
            kind = value["kind"] if isinstance(value, dict) else getattr(value, "kind", None)
            taken = re.findall(r"'([^']*)'", detail["ctx"]["expected_tags"])
            text = _refused_kind(kind, taken, is_data=isinstance(value, dict))
            yield Problem((*path, "kind"), path, text, value=kind)
        case "value_error":
            yield Problem(path, path, rule(detail), value=value)
        case "json_invalid" if "recursion limit" in detail["ctx"]["error"]:
            yield Problem((), (), "this JSON is nested too deeply")
        case "json_invalid":
            yield Problem((), (), f"this is no JSON: {detail['ctx']['error']}")
        case "model_attributes_type" | "dataclass_exact_type" | "dataclass_type":
            yield Problem(path, path, "should be a schedule", continues=True, value=value)
        case _:
            yield Problem(path, path, rule(detail), continues=True, value=value)


_OWN_KIND = (
    "this is a kind of your own, which nobody else knows: use its values, Literal(schedule.values(n).tolist()), "
    "or publish its table"
)


def _refused_kind(kind: object, taken: Sequence[str], *, is_data: bool) -> str:
    """The sentence about a kind that there is none of, or that does not fit: torch's composites take torch's alone."""
    prefix = f"{taken[0].partition('.')[0]}."
    if all(name.startswith(prefix) for name in taken) and not str(kind).startswith(prefix):
        return f"kind must begin with {prefix!r}, got {abbreviate(kind)}"
    return unknown_kind(kind, taken) if is_data else _OWN_KIND


def _meant(detail: Any, data: Any, owner: Owner, kinds: ClassesByKind) -> Iterator[Path]:
    """Paths of the parameters that a misspelt one may have meant. Their absence is no error of its own."""
    if detail["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        path = _real_path(detail["loc"], data, missing=False)
        for name in near_names(str(detail["loc"][-1]), _owner(path, data, owner, kinds).parameters, most=1):
            yield (*path[:-1], name)


def _owner(path: Path, data: Any, owner: Owner, kinds: ClassesByKind) -> Owner:
    """The owner of a value: the schedule that it is a parameter of, or the owner of all the data."""
    if len(path) <= 1:
        return owner
    for part in path[:-1] if data is not ABSENT else ():
        data = data[part]
    kind = _kind_in(data.get("kind"), kinds) if isinstance(data, dict) else None
    return owner if kind is None else Owner(kind, kinds[kind])


def _real_path(location: Iterable[str | int], data: Any, *, missing: bool) -> Path:
    """Pydantic's location as a path through the real data: its names for the members of a union are no part of it."""
    if data is ABSENT:
        return tuple(location)
    path: list[str | int] = []
    parts = list(location)
    for index, part in enumerate(parts):
        if _has(data, part):
            data = data[part]
            path.append(part)
        elif missing and index == len(parts) - 1:
            path.append(part)
    return tuple(path)


def _has(data: Any, part: str | int) -> bool:
    if isinstance(data, dict):
        return part in data
    return isinstance(data, (list, tuple)) and isinstance(part, int) and part < len(data)


# -- lines for people -------------------------------------------------------------------------------------------------


def _merged(problems: Sequence[Problem]) -> Iterator[Problem]:
    """The problems, those of one value that may be of several types as one: "should be a number or 'previous'"."""
    last: Problem | None = None
    for problem in problems:
        if last and problem.path == last.path and problem.continues and last.continues:
            last = last._replace(text=f"{last.text} or {problem.text.removeprefix('should be ')}")
            continue
        if last:
            yield last
        last = problem
    if last:
        yield last


def line(problem: Problem, name: str = "") -> str:
    """A problem of what has this name, on one line: `LinearWarmup: base_lr must be a valid number, got 'x'`."""
    place = written(problem.subject)
    if problem.continues:
        got = "" if problem.value is ABSENT else f", got {abbreviate(problem.value)}{_advice(problem)}"
        return _joined(name, f"{place or 'the data'} {problem.text.replace('should', 'must', 1)}{got}")
    if not place and problem.text.startswith(f"{name} has no parameter"):
        return problem.text
    return _joined(name, place, problem.text)


_NUMBER = re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?")
_TEXT_IN_YAML = " as text: in YAML such a number needs a dot and a sign, as 1.0e-3"


def _advice(problem: Problem) -> str:
    """What to write, where a number came as text, as YAML's `1e-3` does."""
    is_number = isinstance(problem.value, str) and _NUMBER.fullmatch(problem.value) and "valid" in problem.text
    return (_TEXT_IN_YAML if "e" in problem.value.lower() else " as text") if is_number else ""


def _joined(*parts: str) -> str:
    return ": ".join(part for part in parts if part)


def written(path: Path) -> str:
    """A path as Python writes it: `schedules[1].length`. A very long one is shown by its begin and its end."""
    if len(path) > _LONGEST_PATH:
        half = _LONGEST_PATH // 4
        return f"{written(path[:half])} ... {written(path[-half:])}"
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_shown(part)}" for part in path)
    return text.removeprefix(".")


def _shown(name: str) -> str:
    return name if name.isidentifier() and len(name) < 100 else abbreviate(name)


def _alternatives(names: Sequence[str]) -> str:
    """Names as a choice: `a, b or c`."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
