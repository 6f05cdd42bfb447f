"""Look-up of names: exact, in another case, without the prefix of a library, or by alias."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from scheduler.names.aliases import ALIASES, NO_SCHEDULES
from scheduler.texts import abbreviate, near_names

_PREFIX = re.compile(r"^[a-z_]+\.")  # of a library: a recipe's name may have a dot in it, as minicpm-2.4b


def in_any_case(name: str, names: Collection[str]) -> str | None:
    """The one of the names that this is, whatever the case of its letters; None where it is none."""
    if name in names:
        return name
    lower = name.lower()
    return next((known for known in names if known.lower() == lower), None)


def meant_by(name: str, names: Collection[str]) -> list[str]:
    """The names that a typed one means: one as a rule, several where libraries share it, none where it is unknown.

    A full name goes before an alias, and that before the part behind a library's prefix. The case of letters does not
    matter, nor does - in place of _.
    """
    typed = _folded(name)
    full = [known for known in names if _folded(known) == typed]
    if name in full:
        return [name]
    if full:
        return full
    target = _ALIASES.get(typed)
    if target is not None and target in names:
        return [target]
    return [known for known in names if own_name(known) == typed]


def why_no_schedule(name: str) -> str | None:
    """Why a scheduler of this name is no schedule, and what to use instead; None for any other name."""
    return _NO_SCHEDULES.get(own_name(name))


def near_to(name: str, names: Iterable[str]) -> list[str]:
    """The names that a misspelt one may mean, whatever the prefix of their library; the nearest first.

    An alias stands for the name that it is of.
    """
    spellings: dict[str, list[str]] = {}
    for known in names:
        for spelling in (own_name(known), *map(_folded, aliases_of(known))):
            spellings.setdefault(spelling, []).append(known)
    close = near_names(own_name(name), spellings)
    return list(dict.fromkeys(known for spelling in close for known in spellings[spelling]))


def not_one_name(name: str, meant: Sequence[str], names: Iterable[str], also: str = "") -> str:
    """The sentence about a typed name that means several of the names, `meant`, or none of them."""
    if meant:
        return f"several kinds are called {abbreviate(name)}: {', '.join(meant)}"
    if why := why_no_schedule(name):
        return f"{abbreviate(name)} is no schedule: {why}"
    near = [with_aliases(known) for known in near_to(name, names)]
    advice = f"did you mean {' or '.join(near)}?" if near else "'lrtables show' lists them all"
    return f"there is no kind of schedule called {abbreviate(name)}{also}: {advice}"


def with_aliases(name: str) -> str:
    """A name with its aliases: `transformers.warmup_stable_decay (wsd, trapezoidal)`."""
    aliases = aliases_of(name)
    return f"{name} ({', '.join(aliases)})" if aliases else name


def aliases_of(name: str) -> list[str]:
    """The aliases of a kind or a recipe."""
    return [alias for alias, target in ALIASES.items() if target == name]


def own_name(name: str) -> str:
    """A name as names are compared, without the prefix of its library: `torch.OneCycleLR` is `onecyclelr`."""
    return _PREFIX.sub("", _folded(name))


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")


_ALIASES = {_folded(alias): target for alias, target in ALIASES.items()}
_NO_SCHEDULES = {_folded(name): why for name, why in NO_SCHEDULES.items()}
