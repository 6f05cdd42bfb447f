"""What the ranks of a job must have in common before step 0, and how a difference is put into words."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from client.errors import RanksDisagreeError
from client.ranks.group import Group, ranks_in_words
from scheduler import Table
from scheduler.fields import Values
from scheduler.views.table_difference import table_difference

_SHOWN = 5  # ranks or values that a message tells one by one


def gather(ranks: Group, mine: Any, *, timeout: float) -> list[Any]:
    """What each rank gave, as JSON data, in the order of the ranks."""
    return [json.loads(each) for each in ranks.all_gather(json.dumps(mine).encode(), timeout=timeout)]


def check_equal(what: str, values: Sequence[Any], show: Callable[[Any], str] = str) -> None:
    """Raise `RanksDisagreeError` where the values of the ranks differ: it says which ranks have which value.

    Args:
        what: what they are, with a preposition: `in the start position`.
        values: one of each rank, in their order; JSON data.
        show: a value in words.
    """
    kinds: dict[str, list[int]] = {}
    for rank, value in enumerate(values):
        kinds.setdefault(json.dumps(value), []).append(rank)
    if len(kinds) > 1:
        shown = [f"{ranks_in_words(ranks)}: {show(json.loads(text))}" for text, ranks in kinds.items()]
        more = f"; and {len(shown) - _SHOWN} others" if len(shown) > _SHOWN else ""
        raise RanksDisagreeError(f"the ranks differ {what}: {'; '.join(shown[:_SHOWN])}{more}")


# -- parameter groups -------------------------------------------------------------------------------------------------


def group_map(optimizer: Any) -> list[Any] | None:
    """What identifies each parameter group of an optimizer, or of a list of groups; None without an optimizer.

    It is the group's name, where each has one. Else it is the number of its tensors and of their elements.
    """
    if optimizer is None:
        return None
    groups = getattr(optimizer, "param_groups", optimizer)
    if all(isinstance(group.get("name"), str) for group in groups):
        return [group["name"] for group in groups]
    return [[len(group["params"]), sum(_elements(each) for each in group["params"])] for group in groups]


def check_group_maps(maps: Sequence[list[Any] | None]) -> None:
    """Raise `RanksDisagreeError` where the ranks have other parameter groups, or have them in another order."""
    check_equal("in whether an optimizer is given", [each is not None for each in maps])
    known = [each for each in maps if each is not None]
    check_equal("in the number of parameter groups", [len(each) for each in known])
    for index, same in enumerate(zip(*known, strict=True)):
        check_equal(f"in parameter group {index}", same, _group_in_words)


def _elements(parameter: Any) -> int:
    """The number of elements of a tensor or an array."""
    return math.prod(parameter.shape)


def _group_in_words(group: Any) -> str:
    if isinstance(group, str):
        return repr(group)
    tensors, elements = group
    return f"{tensors} tensors of {elements} elements together"


# -- tables -----------------------------------------------------------------------------------------------------------


def digest_in_memory(table: Table) -> str:
    """The digest of a table's values as they are in memory now, and not as they were when it was made."""
    digest = table.layout.hasher()
    digest.update(table.parts()[1])
    return digest.hexdigest()


def check_tables(ranks: Group, table: Table, digests: Sequence[str], wanted: str | None, *, timeout: float) -> None:
    """Raise `RanksDisagreeError` where a rank's table differs: it names the ranks, the row and both values.

    Args:
        ranks: the group; each of its ranks calls this.
        table: this rank's.
        digests: of all ranks, as they are in memory.
        wanted: the digest that the run or the caller names; None where the ranks' own tables are compared.
        timeout: seconds to wait for each other.
    """
    reference = next((rank for rank, digest in enumerate(digests) if digest == wanted), 0)
    right = digests[reference] if wanted is None else wanted
    wrong = [rank for rank, digest in enumerate(digests) if digest != right]
    if not wrong:
        return
    layout = {name: getattr(table.layout, name) for name in ("columns", "axis", "stride", "after")}
    layouts = gather(ranks, layout, timeout=timeout)
    check_equal("in the columns of their tables", [each["columns"] for each in layouts])
    values = table.parts()[1] if ranks.rank == reference else None
    data = ranks.broadcast(None if values is None else bytes(values), source=reference, timeout=timeout)
    columns = np.frombuffer(data, dtype="<f8").reshape(len(table.columns), -1)
    difference = table_difference(_Received(dict(zip(table.columns, columns, strict=True))), table)
    found = gather(ranks, None if difference is None else str(difference), timeout=timeout)
    check_equal("in the layout of their tables", layouts)
    raise RanksDisagreeError(_tables_in_words(wrong, found, reference, right))


def _tables_in_words(wrong: Sequence[int], found: Sequence[str | None], reference: int, right: str) -> str:
    places = [f"{ranks_in_words([rank])} at {found[rank]}" for rank in wrong if found[rank] is not None]
    if not places:
        return f"no rank has table {right}"
    more = f"; and {len(places) - _SHOWN} ranks more" if len(places) > _SHOWN else ""
    return (
        f"the ranks differ in their tables: {ranks_in_words(wrong)} of {len(found)} from table {right[:12]} "
        f"of {ranks_in_words([reference])}, whose value comes first: {'; '.join(places[:_SHOWN])}{more}"
    )


class _Received(NamedTuple):
    """The values of another rank's table, which may not be those of any digest."""

    columns: Mapping[str, Values]


def failures(errors: Iterable[str | None]) -> str:
    """The errors of several ranks in words; empty where there was none."""
    by_text: dict[str, list[int]] = {}
    for rank, error in enumerate(errors):
        if error is not None:
            by_text.setdefault(error, []).append(rank)
    return "; ".join(f"{ranks_in_words(ranks)}: {text}" for text, ranks in by_text.items())
