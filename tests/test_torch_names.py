"""The private names of torch that the packages read: each is in torch, and no others are used."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, CyclicLR, OneCycleLR, SequentialLR
from torch.optim.swa_utils import SWALR

from tests.support.client.training import make_groups, update

ROOT = Path(__file__).parents[1]
_PRIVATE = re.compile(r"_[a-z]\w*")
_WHERE = ("optim/lr_scheduler.py", "optim/optimizer.py", "optim/swa_utils.py", "amp/grad_scaler.py")
_OURS = {
    "_scale",
    "_values",
    "_device",
}  # names in a GradScaler, which nothing here reads: ours have nothing to do with it


def scheduled() -> SGD:
    """An optimizer that has made an update with one of torch's schedulers on it."""
    optimizer = SGD(make_groups(1), lr=0.1, momentum=0.9)
    CosineAnnealingLR(optimizer, 10)
    update(optimizer)
    return optimizer


def scheduler() -> CosineAnnealingLR:
    return CosineAnnealingLR(scheduled(), 10)


NAMES: Mapping[str, Callable[[], Any]] = {
    "_anneal_func_type": lambda: OneCycleLR(scheduled(), 0.1, total_steps=10),
    "_anneal_strategy": lambda: SWALR(scheduled(), 0.1),
    "_get_lr_called_within_step": scheduler,
    "_initial_step": scheduler,
    "_is_initial": scheduler,
    "_last_lr": scheduler,
    "_milestones": lambda: SequentialLR(optimizer := scheduled(), [CosineAnnealingLR(optimizer, 10)], []),
    "_opt_called": scheduled,
    "_optimizer_load_state_dict_post_hooks": scheduled,
    "_scale_fn_custom": lambda: CyclicLR(scheduled(), 0.1, 0.2),
    "_schedule_phases": lambda: OneCycleLR(scheduled(), 0.1, total_steps=10),
    "_schedulers": lambda: SequentialLR(optimizer := scheduled(), [CosineAnnealingLR(optimizer, 10)], []),
    "_step_count": scheduler,
    "_update_lr": scheduler,
    "_version": lambda: torch.zeros(1),
    "_wrapped_by_lr_sched": lambda: scheduled().step,
}
"""Each private name of torch's that is read or written, and what has it."""


def test_the_private_names_are_still_in_torch() -> None:
    """Torch's objects have each name. One that a new torch has renamed is told, with the code to look at."""
    missing = {name: used()[name] for name, make in NAMES.items() if not hasattr(make(), name)}
    assert missing == {}


def test_no_other_private_name_is_used() -> None:
    """Every name of torch's schedulers and optimizers that begins with an underscore, and is ours, too, is listed."""
    folder = Path(str(importlib.util.find_spec("torch").origin)).parent  # type: ignore[union-attr]  # it is installed
    torchs = {name for where in _WHERE for name in names(ast.parse((folder / where).read_text()))} | {"_version"}
    assert used().keys() & torchs - _OURS == NAMES.keys()


def test_no_private_module_of_torch_is_imported() -> None:
    """No import, and no chain of attributes, leads through a name such as `torch._dynamo`."""
    found = [
        f"{path}:{line} {dotted}"
        for path, tree in modules().items()
        for line, dotted in chains(tree)
        if dotted.startswith("torch.") and any(_PRIVATE.fullmatch(part) for part in dotted.split("."))
    ]
    assert found == []


def chains(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The lines and dotted names of imports, and of private attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{each.name}") for each in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, each.name) for each in node.names)
        elif isinstance(node, ast.Attribute) and _PRIVATE.fullmatch(node.attr):
            yield node.lineno, ast.unparse(node)


@cache
def modules() -> dict[str, ast.Module]:
    """Those modules of the packages that speak of torch, parsed."""
    paths = [path for package in ("client", "scheduler", "lrtables") for path in sorted((ROOT / package).rglob("*.py"))]
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    return {path: ast.parse(text) for path, text in texts.items() if "torch" in text}


@cache
def used() -> dict[str, list[str]]:
    """Private names in these modules, as attributes, functions or text, and the modules."""
    found: dict[str, list[str]] = {}
    for path, tree in modules().items():
        for name in names(tree):
            found.setdefault(name, []).append(path)
    return found


def names(tree: ast.Module) -> set[str]:
    """The private attributes, functions and words of a module."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return {name for name in found if _PRIVATE.fullmatch(name)}
