"""What a prompt offers of a schedule and of a table, and what it prints: a call that can be pasted back."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Literal

import pytest

from scheduler import KINDS, Schedule, Spec, Table, builtin
from scheduler.compose import Ramp
from scheduler.custom import WarmupWithDecay
from scheduler.fields import Rate, Values
from scheduler.schedule import schedule
from tests.support.schedules.edges import legal

SCHEDULE = WarmupWithDecay(5e-4, 10, 100)


@schedule
class Steady(Schedule):
    """A kind of a user's own."""

    rate: Rate
    kind: Literal["mine.Steady"] = "mine.Steady"

    def _fill(self, out: Values, start: int) -> None:
        out[:] = self.rate

    def halved(self) -> Steady:
        """A method of a user's own."""
        return Steady(self.rate / 2)


def offered(value: object) -> list[str]:
    return [name for name in dir(value) if not name.startswith("_")]


def test_a_schedule_offers_its_parameters_and_what_users_call() -> None:
    """Nothing that composites, amendments or tables ask of a schedule is among the names."""
    assert offered(SCHEDULE) == [
        *("base_lr", "boundaries", "column_names", "columns", "end", "get_lr", "kind", "min_lr", "plot", "replaced"),
        *("revision", "stated_steps", "table", "to_dict", "total_steps", "values", "warmup_steps", "warnings"),
        "with_ratio",
    ]


def test_every_kind_offers_the_same_methods() -> None:
    """Kinds differ in their parameters alone; a twin's dozen methods that composites call are no exception."""
    methods = {*offered(Ramp(0.1, 0.0, 10))} - {*vars(Ramp)["__pydantic_fields__"]}
    for kind in KINDS.values():
        made = legal(kind.kind, Random(1))
        assert {*offered(made)} - {*vars(kind)["__pydantic_fields__"], "with_ratio"} == methods


def test_a_users_own_names_are_offered() -> None:
    """A kind of a user's own has its own methods among the names, and none of our internals."""
    assert {"halved", "rate", "get_lr"} <= {*offered(Steady(0.1))}
    assert "fill" not in offered(Steady(0.1))


def test_a_table_offers_what_users_call() -> None:
    """What the server and the client ask of a table is not among the names."""
    assert offered(SCHEDULE.table(100)) == [
        *("after", "axis", "columns", "digest", "from_bytes", "get_lr", "groups", "load", "lr", "nbytes", "plot"),
        *("provenance", "row", "save", "spec", "stride", "to_bytes", "to_pandas", "total_steps"),
    ]


def classes(top: Schedule) -> Iterator[type[Schedule]]:
    return (type(part) for part in top.walk())


@pytest.mark.parametrize("kind", KINDS)
def test_the_repr_of_a_schedule_can_be_pasted_back(kind: str) -> None:
    """It is the call that makes an equal schedule, of every kind, with the names of the classes imported."""
    random = Random(kind)
    for depth in (0, 1, 1, 2):
        made = legal(kind, random, depth)
        names = {cls.__name__: cls for cls in classes(made)}
        if len(names) == len({*classes(made)}):  # else two libraries' kinds have one name
            assert eval(repr(made), dict[str, Any](names)) == made


def test_a_name_of_another_library_is_not_taken_for_ours() -> None:
    """Kinds of several libraries have one name: the kind in the repr refuses the wrong one of them."""
    twin = builtin.OneCycleLR(0.1, total_steps=100)
    with pytest.raises(ValueError, match="OneCycleLR"):
        eval(repr(twin), {"OneCycleLR": KINDS["custom.OneCycleLR"]})


@pytest.mark.parametrize(
    "spec",
    [
        Spec(schedule=SCHEDULE, total_steps=100),
        Spec(schedule=SCHEDULE, total_steps=100, axis="token", stride=4096, after="error"),
        Spec(schedule=[SCHEDULE, Ramp(0.1, 0.0, 100)], total_steps=100),
        Spec(schedule=SCHEDULE, columns={"weight_decay": Ramp(0.1, 0.2, 100)}, total_steps=100),
    ],
    ids=["plain", "layout", "groups", "columns"],
)
def test_a_table_and_its_spec_say_how_they_are_made(spec: Spec) -> None:
    """A spec's repr makes an equal spec; a table's has its digest, and the call that computes it again."""
    names: dict[str, Any] = {"Spec": Spec, "Ramp": Ramp, "WarmupWithDecay": WarmupWithDecay}
    assert eval(repr(spec), dict(names)) == spec
    table = spec.table()
    told, _, call = repr(table).removesuffix(">").partition(": ")
    assert told.startswith(f"<Table {table.digest[:12]} lr")
    assert eval(spec.call(), dict(names)) == table
    assert call in ("", spec.call())
    assert call or len(spec.call()) > 390


def test_a_table_without_a_spec_says_what_it_is() -> None:
    """Values as they were given have no call; a very long call is left out."""
    table = Table({"lr": [0.1, 0.2], "momentum": [0.9, 0.8]})
    assert repr(table) == f"<Table {table.digest[:12]} lr+momentum x 2 steps>"
    many = Spec(schedule=[SCHEDULE] * 20, total_steps=10).table()
    assert repr(many).endswith(" x 10 steps>")
