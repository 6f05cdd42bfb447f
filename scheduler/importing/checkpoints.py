"""The schedulers' states in a checkpoint of torch's, found wherever they are in it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler.importing.configurations import BadFileError
from scheduler.importing.counts import Counts, counts_of
from scheduler.interop.torch_state import is_state

_DEEPEST = 3  # levels of a checkpoint that are searched
_PICKLED = (
    "is a pickle of Python objects, which could run any code when it is read, so that it is not. If it is Trainer's "
    "training_args.bin, give the JSON of the arguments: open('training_args.json', 'w').write(args.to_json_string())"
)


@dataclass(frozen=True)
class Saved:
    """A scheduler's state, and what is saved beside it."""

    place: str
    """Its keys in the checkpoint, such as `lr_schedulers.0`."""
    state: Mapping[str, Any]
    groups: Sequence[Mapping[str, Any]] | None
    """The parameter groups of the optimizer's state, where there is no doubt which one is meant."""
    counts: Counts
    """How far the training was, as the checkpoint says."""


def saved_schedulers(path: Path) -> list[Saved]:
    """The schedulers' states in a file of `torch.save`. Raises `BadFileError`, `ImportError` without torch."""
    content = _loaded(path)
    states, optimizers = list(_walk(content, is_state)), list(_walk(content, _is_optimizer))
    found = []
    for number, (place, state) in enumerate(states):
        optimizer = _optimizer_of(place, number, len(states), optimizers)
        groups = optimizer["param_groups"] if optimizer is not None else None
        found.append(Saved(place, state, groups, counts_of(content)))
    return found


def _optimizer_of(place: str, number: int, states: int, optimizers: Sequence[tuple[str, Any]]) -> Any:
    """The optimizer's state that belongs to a scheduler's: the one beside it, of its number, or the only one."""
    beside = [state for at, state in optimizers if at.rpartition(".")[0] == place.rpartition(".")[0]]
    if len(beside) == 1:
        return beside[0]
    if len(optimizers) == states:
        return optimizers[number][1]
    return optimizers[0][1] if len(optimizers) == 1 else None


def chosen(found: Sequence[Saved], place: str | None, path: Path) -> Saved:
    """The one that is meant. Raises `BadFileError` where there is none, or several and no `place`."""
    places = [saved.place for saved in found]
    if not found:
        raise BadFileError(f"{path} has no scheduler's state in it (a mapping with last_epoch and base_lrs)")
    if place is None and len(found) > 1:
        raise BadFileError(f"{path} has several schedulers' states: choose with --state {' or '.join(places)}")
    if place is not None and place not in places:
        raise BadFileError(f"--state must be one of {', '.join(places)}, got {place!r}")
    return found[places.index(place) if place is not None else 0]


def _loaded(path: Path) -> Any:
    import torch  # noqa: PLC0415  # an extra, and slow to import

    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except OSError:
        raise
    except Exception as error:  # what torch raises for a pickle that it refuses is no class of its own
        if "weights_only" in str(error).lower():
            raise BadFileError(f"{path} {_PICKLED}") from None
        raise BadFileError(f"{path} is no checkpoint that torch reads: {str(error).splitlines()[0]}") from None


def _is_optimizer(value: object) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("param_groups"), list)


def _walk(content: Any, fits: Any, place: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Everything that fits, with its place; nothing inside of what fits."""
    if fits(content):
        yield place or "the file itself", content
    elif depth < _DEEPEST and isinstance(content, Mapping | list):
        items = content.items() if isinstance(content, Mapping) else enumerate(content)
        for key, value in items:
            yield from _walk(value, fits, f"{place}.{key}".lstrip("."), depth + 1)
