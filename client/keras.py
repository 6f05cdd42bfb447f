"""Tables in Keras 3: a learning-rate schedule that a saved model names by its digest.

    optimizer = keras.optimizers.AdamW(TableSchedule(table))

The model file holds the digest, not the values. Loading it asks for the table: first the sources of `tables_from`, then
this machine's cache and the service, by a `Client` as the environment sets it up.

    with tables_from(client):
        model = keras.saving.load_model("model.keras")
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from numbers import Real
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from client.client import Client
from client.errors import ClientError
from scheduler import Table
from scheduler.table import check_table
from scheduler.texts import abbreviate, is_digest
from scheduler.views.by_update import by_update

_RELEASED = (
    "this table releases the rate after its last row, and in Keras nothing else would set it: give what comes then, "
    "TableSchedule(table, then=...), a schedule that counts from the table's end"
)
_FACTS = ("axis", "stride", "after", "total_steps", "run", "version")  # in a saved model for its reader

_sources: ContextVar[tuple[Table | Client, ...]] = ContextVar("sources", default=())
_live: WeakValueDictionary[str, Table] = WeakValueDictionary()  # of this process's schedules, so that copies need none


class UnknownTableError(LookupError):
    """A saved model names a table that was not found; the message says which, where it was looked for, and why."""


@contextmanager
def tables_from(*sources: Table | Client) -> Iterator[None]:
    """Let models that are loaded inside find their tables: among these tables, or by these clients.

    It holds for the thread or task that entered.
    """
    for source in sources:
        if not isinstance(source, Table | Client):
            raise TypeError(f"a source must be a Table or a Client, got {abbreviate(source)}")
    _schedule_class()  # a model can be loaded only where Keras knows the class
    token = _sources.set(sources)
    try:
        yield
    finally:
        _sources.reset(token)


def find_table(digest: str, facts: Mapping[str, Any] | None = None) -> Table:
    """The table with a digest: one of this process, one of `tables_from`, or from the cache or the service.

    Without `tables_from`, the `Client` is the one that the environment sets up (`LRTABLES_URL`, `LRTABLES_OFFLINE`,
    `LRTABLES_CACHE`); where it names no service, only the cache is asked.

    Raises `UnknownTableError`, naming the table and, of `facts`, what is known of it.
    """
    if (known := _live.get(digest)) is not None:
        return known
    given = _sources.get()
    for table in (each for each in given if isinstance(each, Table)):
        if table.digest == digest:
            return table
    reasons = []
    for client in [each for each in given if isinstance(each, Client)] or [_default_client()]:
        try:
            return client.get(digest)
        except ClientError as error:
            reasons.append(f"{client!r}: {error}")
    known_facts = ", ".join(f"{name} {value}" for name, value in (facts or {}).items() if value is not None)
    raise UnknownTableError(
        f"the model needs the table {digest}{f' ({known_facts})' if known_facts else ''}, which was not found. Load it "
        f"inside `with tables_from(table):` or `with tables_from(client):`. Asked: {'; '.join(reasons)}"
    )


def _default_client() -> Client:
    return Client(offline=None if os.environ.get("LRTABLES_URL") else True)


@cache
def _schedule_class() -> Any:
    """The class `TableSchedule`, made when it is first asked for: its base class is Keras's."""
    try:
        import keras  # noqa: PLC0415  # an extra, and slow to import
    except ImportError as error:
        raise ImportError("TableSchedule needs Keras 3: pip install 'lrtables[keras]'", name=error.name) from error
    ops = keras.ops

    @keras.saving.register_keras_serializable(package="lrtables")
    class TableSchedule(keras.optimizers.schedules.LearningRateSchedule):
        """A table as a Keras schedule: row k is in force during update k, counted from 0.

        Each rate is the table's float64 rounded once, to float32 (to float64 where `keras.config.floatx()` is that).
        Past the table's end its `after` decides. `hold`: the last rate. `error`: `PastEndError` for a plain number; NaN
        for a tensor, from the second update past the end, because compiled code cannot raise. `release`: what `then`
        says.

        Args:
            table: the values.
            column: the column, `lr` as a rule.
            group: the parameter group, for a table with values per group.
            per_step: samples or tokens that one update takes, of all workers: for tables that count those.
            per_epoch: updates in an epoch: for tables that count epochs.
            gradient_accumulation_steps: what the optimizer was given. Keras asks a schedule with the number of the
                micro-batch, so that without it every update would have the rate of a later one.
            then: a schedule for the updates after a table that releases the rate, counted from the table's end.
            name: shown in the model's configuration.

        Raises `ValueError` for arguments that do not fit the table.
        """

        def __init__(
            self,
            table: Table,
            *,
            column: str = "lr",
            group: int | None = None,
            per_step: int | None = None,
            per_epoch: int | None = None,
            gradient_accumulation_steps: int | None = None,
            then: Any = None,
            name: str = "TableSchedule",
        ) -> None:
            super().__init__()
            check_table(table)
            self._rates = by_update(table, column, group=group, per_step=per_step, per_epoch=per_epoch)
            if then is None and table.after == "release":
                raise ValueError(_RELEASED)
            if then is not None and table.after != "release":
                raise ValueError(f"then is for a table that releases the rate; after is {table.after!r} here")
            self._micro = _micro_batches(gradient_accumulation_steps)
            self._table = table
            self._arguments = {"column": column, "group": group, "per_step": per_step, "per_epoch": per_epoch}
            self._then = then
            self.name = name
            self.gradient_accumulation_steps = gradient_accumulation_steps
            self._values = self._rates.values.astype("float64" if keras.config.floatx() == "float64" else "float32")
            self._tensors: dict[str, Any] = {}
            _live.setdefault(table.digest, table)

        @property
        def digest(self) -> str:
            """The table's digest."""
            return self._table.digest

        @property
        def table(self) -> Table:
            """The table."""
            return self._table

        def __call__(self, step: Any) -> Any:
            """The rate in force at Keras's count of iterations, as a tensor of the backend."""
            if isinstance(step, Real) and self._then is None:
                return ops.convert_to_tensor(self._values[self._rates.index(int(float(step) // self._micro))])
            count = ops.floor_divide(ops.convert_to_tensor(step), self._micro)
            count = ops.cast(count, "int32")
            rates, last = self._rates, len(self._values) - 1
            if rates.firsts is None:
                row = ops.clip(count, 0, last)
            else:
                firsts = self._tensor("firsts", rates.firsts, count)
                reached = ops.reshape(ops.clip(count, 0, int(rates.firsts[-1])), (1,))
                row = ops.reshape(ops.searchsorted(firsts, reached, side="right"), ()) - 1
            rate = ops.take(self._tensor("values", self._values, count), row)
            end = min(rates.end, np.iinfo(np.int32).max)
            if self._then is not None:
                since = ops.maximum(count - end, 0)
                return ops.where(count < end, rate, ops.cast(self._then(since), rate.dtype))
            return ops.where(count <= end, rate, np.nan) if rates.after == "error" else rate

        def _tensor(self, name: str, values: Any, like: Any) -> Any:
            """The values as a tensor; of torch, which would copy them to its device each time, a kept one."""
            if keras.backend.backend() != "torch":
                return ops.convert_to_tensor(values)
            key = f"{name} {like.device}"
            if key not in self._tensors:
                self._tensors[key] = ops.convert_to_tensor(np.array(values)).to(like.device)
            return self._tensors[key]

        def get_config(self) -> dict[str, Any]:
            """The digest of the table and the arguments, not the values."""
            then = None if self._then is None else keras.saving.serialize_keras_object(self._then)
            own = {"gradient_accumulation_steps": self.gradient_accumulation_steps, "then": then, "name": self.name}
            facts = {name: getattr(self._table, name, None) for name in _FACTS}
            return {"digest": self.digest, **self._arguments, **own, **facts}

        @classmethod
        def from_config(cls, config: dict[str, Any]) -> Any:
            """The schedule of a configuration; `find_table` finds its table."""
            rest = {name: value for name, value in config.items() if name not in _FACTS}
            digest = rest.pop("digest", None)
            if not is_digest(digest):
                raise ValueError(f"digest must be 64 hexadecimal digits, got {abbreviate(digest)}")
            if rest.get("then") is not None:
                rest["then"] = keras.saving.deserialize_keras_object(rest["then"])
            return cls(find_table(digest, {name: config.get(name) for name in _FACTS}), **rest)

        def __repr__(self) -> str:
            return f"<TableSchedule {self._rates.name} of table {self.digest[:12]}, {self._rates.end} updates>"

    TableSchedule.__module__, TableSchedule.__qualname__ = __name__, "TableSchedule"
    return TableSchedule


def _micro_batches(value: Any) -> int:
    if value is None:
        return 1
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"gradient_accumulation_steps must be a whole number from 1, got {abbreviate(value)}")
    return value


def __getattr__(name: str) -> Any:
    if name == "TableSchedule":
        return _schedule_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
