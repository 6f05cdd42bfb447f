"""Tables in JAX: schedules for optax, which stay right under `jit`, `vmap` and `scan`.

    tx = optax.adamw(schedule(table))
    tx = optax.inject_hyperparams(optax.adamw)(**hyperparameters(table))  # and all other columns of the table

The count of updates lives in optax's state, so a job that restores that state goes on at its row. That it does so with
the same table, `record_digest` and `check_digest` prove:

    tx = optax.chain(optax.adamw(schedule(table)), record_digest(table))
    check_digest(restored_state, table)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from client.errors import DigestMismatchError
from scheduler import Table
from scheduler.table import check_table
from scheduler.texts import abbreviate
from scheduler.views.by_update import ByUpdate, by_update

ARGUMENTS: Mapping[str, str] = {"lr": "learning_rate", "beta1": "b1", "beta2": "b2"}
"""A column to the argument of optax's optimizers; every other column has the argument's name."""

_FIELD = "table_digest"
_RELEASED = (
    "this table releases the rate after its last row, and in optax nothing else would set it: give what comes then, "
    "schedule(table, then=...), a function of the updates since the table's end"
)


class OptaxSchedule:
    """A table's column as a function of optax's count of updates; made by `schedule`.

    Attributes:
        digest: the table's digest.
        run: the name of the run that the table was resolved from, where there is one; and its `version`.
        name: the column.
        updates: number of updates up to the table's end.
    """

    def __init__(self, table: Table, rates: ByUpdate, dtype: Any, then: Callable[[Any], Any] | None) -> None:
        self.digest = table.digest
        self.run: str | None = getattr(table, "run", None)
        self.version: int | None = getattr(table, "version", None)
        self.name = rates.name
        self.updates = rates.end
        self._rates = rates
        self._then = then
        self._values = _rounded(rates, dtype)  # in NumPy: JAX may not be started before jax.distributed is

    def __call__(self, count: Any) -> Any:
        """The value in force during update `count`, as a JAX array of the count's shape."""
        jax, jnp = _jax()
        if isinstance(count, jax.core.Tracer) or _is_spread(count):
            return self._traced(jnp, jnp.asarray(count))
        counts = np.asarray(count)
        if not np.isfinite(counts).all():
            raise ValueError(f"count must be a number, got {abbreviate(count)}")
        if (counts != np.floor(counts)).any():
            raise ValueError(f"count must be a whole number of updates, got {abbreviate(count)}")
        if self._then is not None:
            return self._traced(jnp, jnp.asarray(count))
        rows = np.array([self._rates.index(int(each)) for each in counts.ravel()], dtype=np.int64)
        return jnp.asarray(self._values[rows.reshape(counts.shape)])

    def _traced(self, jnp: Any, count: Any) -> Any:
        """The value as operations of JAX, which cannot raise: past the end of a table that should, it is NaN."""
        if jnp.issubdtype(count.dtype, jnp.floating):
            count = jnp.floor(count)
        elif count.dtype.itemsize < 4:  # too small for the comparisons below
            count = count.astype(np.int32)
        last, end = len(self._values) - 1, min(self.updates, np.iinfo(np.int32).max)
        if self._rates.firsts is None:
            row = jnp.clip(count, 0, last).astype(np.int32)
        else:
            reached = jnp.clip(count, 0, self._rates.firsts[-1]).astype(np.int32)
            row = jnp.searchsorted(jnp.asarray(self._rates.firsts), reached, side="right") - 1
        value = jnp.take(jnp.asarray(self._values), row, mode="clip")
        if self._then is not None:
            since = jnp.maximum(count - end, 0)
            return jnp.where(count < end, value, jnp.asarray(self._then(since), dtype=value.dtype))
        return jnp.where(count <= end, value, np.nan) if self._rates.after == "error" else value

    def __repr__(self) -> str:
        return f"<OptaxSchedule {self.name} of table {self.digest[:12]}, {self.updates} updates>"


def schedule(
    table: Table,
    column: str = "lr",
    *,
    group: int | None = None,
    per_step: int | None = None,
    per_epoch: int | None = None,
    dtype: Any = None,
    then: Callable[[Any], Any] | None = None,
) -> OptaxSchedule:
    """A table's column as an optax schedule: a function of the count of updates, safe under `jit`, `vmap` and `scan`.

    Each value is the table's float64, rounded once to `dtype`. A count is a whole number, in an integer or a
    floating-point number of any size. Others raise `ValueError` where the count is known; where JAX traces it, they are
    rounded down. A negative one gives the first value, because `optax.join_schedules` asks for those.

    Past the end of the table its `after` decides. `hold`: the last value. `error`: `PastEndError` where the count is
    known, and NaN where JAX traces it, because traced code cannot raise; exactly at the end, where a trainer may look
    once more after the last update, the last value. `release`: what `then` says.

    Args:
        table: the values.
        column: `lr`, `weight_decay`, `beta1` or another column of the table, without a group's number.
        group: the parameter group, for a table with values per group; `optax.multi_transform` takes one schedule each.
        per_step: samples or tokens that one update takes, of all workers together: for tables that count those.
        per_epoch: updates in an epoch: for tables that count epochs.
        dtype: of the result. Without it float32, or float64 where `jax_enable_x64` is on now.
        then: for a table that releases the rate: what is in force after it, a function of the updates since its end.

    Raises `ImportError` without JAX, `ValueError` for arguments that do not fit the table, for a table that releases
    the rate and no `then`, and for values that `dtype` cannot hold.
    """
    check_table(table)
    rates = by_update(table, column, group=group, per_step=per_step, per_epoch=per_epoch)
    if then is None and table.after == "release":
        raise ValueError(_RELEASED)
    if then is not None and table.after != "release":
        raise ValueError(f"then is for a table that releases the rate; after is {table.after!r} here")
    if dtype is None:
        dtype = np.float64 if _jax()[0].config.jax_enable_x64 else np.float32
    return OptaxSchedule(table, rates, dtype, then)


def hyperparameters(
    table: Table,
    *,
    group: int | None = None,
    per_step: int | None = None,
    per_epoch: int | None = None,
    dtype: Any = None,
) -> dict[str, OptaxSchedule]:
    """All columns of a table as arguments of an optax optimizer: `learning_rate`, `weight_decay`, `b1`, ...

    For `optax.inject_hyperparams(optax.adamw)(**hyperparameters(table))`. Arguments and errors as in `schedule`.
    """
    own = {name.partition(".")[0] for name in table.columns if "." not in name or name.endswith(f".{group}")}
    if not own:
        raise ValueError(f"group must be one that the table has values for, {', '.join(table.columns)}; got {group!r}")
    pace: dict[str, Any] = {"per_step": per_step, "per_epoch": per_epoch}
    return {ARGUMENTS.get(name, name): schedule(table, name, group=group, dtype=dtype, **pace) for name in sorted(own)}


class DigestState(NamedTuple):
    """The state of `record_digest`: a table's digest as uint8, shape [32]."""

    table_digest: Any


def record_digest(table: Table) -> Any:
    """A transformation that changes nothing, and keeps the table's digest in optax's state and so in checkpoints.

    Put it into an `optax.chain`, anywhere. `check_digest` reads it after a restore.
    """
    _, jnp = _jax()
    import optax  # noqa: PLC0415  # an extra, and slow to import

    digest = np.frombuffer(bytes.fromhex(table.digest), dtype=np.uint8)

    def init(_: Any) -> DigestState:
        return DigestState(jnp.asarray(digest))

    def update(updates: Any, state: DigestState, _: Any = None) -> tuple[Any, DigestState]:
        return updates, state

    return optax.GradientTransformation(init, update)


def check_digest(state: Any, *tables: Table) -> None:
    """Raise `DigestMismatchError` unless a state of optax belongs to these tables and no others.

    Args:
        state: what `tx.init` or a checkpoint gave. It may have been restored as plain dictionaries.
        tables: every table that a `record_digest` in the optimizer was made with.

    Raises `ValueError` for a state without a digest: its optimizer had no `record_digest`.
    """
    found = set(_digests(state))
    if not found:
        raise ValueError("this state of optax has no digest of a table: chain record_digest(table) into the optimizer")
    given = {table.digest for table in tables}
    if found != given:
        raise DigestMismatchError(
            f"the state of optax belongs to table {', '.join(sorted(found))}, not to {', '.join(sorted(given))}"
        )


def _digests(state: Any) -> list[str]:
    """The digests at any depth of a state."""
    jax, _ = _jax()
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    named = [leaf for path, leaf in leaves if path and _FIELD in (getattr(path[-1], "name", None), _key(path[-1]))]
    return [np.asarray(leaf, dtype=np.uint8).tobytes().hex() for leaf in named]


def _key(entry: Any) -> object:
    return getattr(entry, "key", None)


def _rounded(rates: ByUpdate, dtype: Any) -> np.ndarray[Any, Any]:
    """The values in `dtype`, each rounded once. Raises `ValueError` where one is out of its range."""
    with np.errstate(over="ignore", under="ignore"):
        values = rates.values.astype(dtype)
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{np.dtype(dtype)} cannot hold {rates.values[row]!r}, {rates.name} of update {row}")
    values.flags.writeable = False
    return values


def _is_spread(count: Any) -> bool:
    """Whether an array lies on several machines, so that no process can read all of it."""
    return not (getattr(count, "is_fully_addressable", True) or getattr(count, "is_fully_replicated", True))


def _jax() -> tuple[Any, Any]:
    """The packages `jax` and `jax.numpy`."""
    try:
        import jax  # noqa: PLC0415  # an extra, and slow to import
        import jax.numpy  # noqa: PLC0415  # an extra, and slow to import
    except ImportError as error:
        raise ImportError("a schedule for optax needs JAX: pip install 'lrtables[jax]'", name=error.name) from error
    return jax, jax.numpy
