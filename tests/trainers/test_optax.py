"""`client.optax` with real JAX and optax: the values that updates use, bit for bit."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from client import DigestMismatchError
from client.optax import check_digest, hyperparameters, record_digest, schedule
from scheduler import PastEndError, Table
from scheduler.custom import WarmupWithDecay
from scheduler.table_format import After, Axis

RATES = [0.1 / (k + 1) for k in range(10)]


def make_table(rates: Any = RATES, *, after: After = "hold", axis: Axis = "step", stride: int = 1) -> Table:
    return Table({"lr": rates}, after=after, axis=axis, stride=stride)


def float32(values: Any) -> list[float]:
    return [float(value) for value in np.asarray(values, dtype=np.float64).astype(np.float32)]


def applied(tx: Any, updates: int, state: Any = None) -> tuple[list[float], Any]:
    """The rates that a transformation's updates really had, one jitted step each, and the last state.

    Gradients are powers of 2 that are -1, so that an update is the rate itself.
    """
    params = jnp.zeros(())

    @jax.jit
    def step(state: Any) -> Any:
        return tx.update(jnp.full((), -1.0), state, params)

    state = tx.init(params) if state is None else state
    rates = []
    for _ in range(updates):
        update, state = step(state)
        rates.append(float(update))
    return rates, state


@pytest.mark.parametrize("rows", [1, 1000])
def test_every_value_is_the_tables_rounded_once(rows: int) -> None:
    """Eager, jitted, mapped and scanned, each count has the float32 next to the table's float64, for all rows."""
    table = make_table(WarmupWithDecay(0.1, rows // 10, 2 * rows).values(rows) if rows > 1 else [0.1])
    rate = schedule(table)
    counts = jnp.arange(rows)
    expected = np.asarray(table.lr).astype(np.float32)
    _, scanned = jax.lax.scan(lambda count, _: (count + 1, rate(count)), jnp.int32(0), length=rows)
    jitted = jax.jit(rate)
    ways = {
        "eager": jnp.stack([rate(count) for count in range(rows)]),
        "array": rate(counts),
        "jit": jnp.stack([jitted(count) for count in counts]),
        "vmap": jax.vmap(rate)(counts),
        "scan": scanned,
    }
    for way, values in ways.items():
        assert values.dtype == np.float32, way
        assert np.array_equal(np.asarray(values).view(np.int32), expected.view(np.int32)), way


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint32, np.int64, np.float32])
def test_a_count_may_have_any_type(dtype: Any) -> None:
    """Integers of any size and floats give their row, and what lies outside the table's rows the first or last one."""
    table = make_table(np.linspace(0.1, 0.2, 300))
    rate = schedule(table)
    low = 0 if np.issubdtype(dtype, np.unsignedinteger) else -3
    for count in (low, 0, 7, 127):
        expected = np.float32(table.lr[max(count, 0)])
        assert rate(dtype(count)) == jax.jit(rate)(dtype(count)) == expected
    assert jax.jit(rate)(7.9) == np.float32(table.lr[7])
    with pytest.raises(ValueError, match=r"count must be a whole number of updates, got 1\.5"):
        rate(1.5)
    with pytest.raises(ValueError, match="count must be a number, got nan"):
        rate(float("nan"))


def test_past_the_end_the_tables_policy_holds() -> None:
    """`hold` holds; `error` raises where the count is known and is NaN where it is traced, both from the end on + 1."""
    held, strict = schedule(make_table()), schedule(make_table(after="error"))
    last = np.float32(RATES[-1])
    far = np.iinfo(np.int32).max
    assert held(10) == held(far) == jax.jit(held)(10) == jax.jit(held)(far) == last
    assert strict(10) == jax.jit(strict)(10) == last
    assert np.isnan(jax.jit(strict)(11))
    with pytest.raises(PastEndError, match="update 11 is past the end of this table, which ends at 10"):
        strict(11)


def test_a_table_that_releases_says_what_comes_then() -> None:
    """`release` needs `then`, which counts from the table's end; without it the line to write is named."""
    table = make_table(after="release")
    with pytest.raises(ValueError, match=r"nothing else would set it: give what comes then, schedule\(table, then="):
        schedule(table)
    with pytest.raises(ValueError, match="then is for a table that releases the rate; after is 'hold' here"):
        schedule(make_table(), then=optax.constant_schedule(1.0))
    rate = schedule(table, then=optax.linear_schedule(1.0, 0.0, 4))
    expected = [*float32(RATES), 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert [float(rate(count)) for count in range(16)] == expected
    assert applied(optax.sgd(rate), 16)[0] == expected


def test_x64_gives_the_tables_own_bits() -> None:
    """Where JAX has 64 bits the values are the table's float64, and those of a schedule made before stay float32."""
    before = schedule(make_table())
    with jax.enable_x64(True):
        rate = schedule(make_table())
        assert [float(jax.jit(rate)(count)) for count in range(10)] == RATES
        assert rate(np.int64(3)).dtype == np.float64
        assert before(3).dtype == jax.jit(before)(3).dtype == np.float32


def test_values_that_a_type_cannot_hold_are_refused() -> None:
    """A value beyond the type's range is an error with its update; small types within it are rounded."""
    with pytest.raises(ValueError, match=r"float16 cannot hold (np\.float64\()?100000\.0\)?, lr of update 1"):
        schedule(make_table([1.0, 1e5]), dtype=np.float16)
    assert schedule(make_table([0.1]), dtype=jnp.bfloat16)(0) == jnp.bfloat16(0.1)


@pytest.mark.parametrize("make", [optax.sgd, lambda rate: optax.inject_hyperparams(optax.sgd)(rate)])
def test_row_k_is_in_force_during_update_k(make: Any) -> None:
    """Plain and injected, the rate of every jitted update is the table's row."""
    rates, _ = applied(make(schedule(make_table())), 12)
    assert rates == float32([*RATES, RATES[-1], RATES[-1]])


@pytest.mark.parametrize("steps", [1, 3])
def test_accumulation_counts_real_updates(steps: int) -> None:
    """Under `MultiSteps` only the updates that are made move the table on, and none past its end becomes NaN."""
    tx = optax.MultiSteps(optax.sgd(schedule(make_table(after="error"))), steps)
    rates, state = applied(tx, 10 * steps)
    assert rates[steps - 1 :: steps] == float32(RATES)
    assert [rate for k, rate in enumerate(rates) if k % steps != steps - 1] == [0.0] * 10 * (steps - 1)
    assert state.gradient_step == 10


def test_a_skipped_update_keeps_its_row() -> None:
    """`apply_if_finite` skips an update with an infinity, and the next one has the row that it would have had."""
    tx = optax.apply_if_finite(optax.sgd(schedule(make_table())), 5)
    state = tx.init(jnp.zeros(()))
    rates = []
    for gradient in (-1.0, np.inf, -1.0, -1.0):
        update, state = jax.jit(tx.update)(jnp.float32(gradient), state)
        rates.append(float(update))
    assert rates == [float32(RATES)[0], 0.0, *float32(RATES)[1:3]]


def test_a_restored_state_goes_on_at_its_row() -> None:
    """The count is in optax's state: training goes on from any update as if it had never stopped."""
    whole, _ = applied(optax.sgd(schedule(make_table())), 10)
    for stop in (1, 4, 9):
        _, state = applied(optax.sgd(schedule(make_table())), stop)
        saved = jax.tree.map(np.asarray, state)
        assert applied(optax.sgd(schedule(make_table())), 10 - stop, saved)[0] == whole[stop:]


@pytest.mark.parametrize(("per_step", "rows"), [(4, [0, 0, 1, 1, 2, 2]), (16, [0, 2, 4]), (12, [0, 1, 3, 4])])
def test_samples_are_counted_by_the_size_of_an_update(per_step: int, rows: list[int]) -> None:
    """A table in samples gives update k the row of sample k times the size, in any ratio to its stride."""
    table = make_table(RATES[:5], axis="sample", stride=8)
    rates, _ = applied(optax.sgd(schedule(table, per_step=per_step)), len(rows))
    assert rates == float32([RATES[row] for row in rows])


def test_epochs_are_counted_by_their_updates() -> None:
    """A table in epochs holds each rate for the updates of one epoch."""
    rates, _ = applied(optax.sgd(schedule(make_table(RATES[:2], axis="epoch"), per_epoch=3)), 6)
    assert rates == float32([RATES[0]] * 3 + [RATES[1]] * 3)


def test_every_column_reaches_the_optimizer() -> None:
    """`hyperparameters` names all columns as optax does, and each update's values can be read from the state."""
    columns = {"lr": RATES, "weight_decay": RATES[::-1], "beta1": [0.9 - rate for rate in RATES], "eps": RATES}
    table = Table(columns)
    tx = optax.inject_hyperparams(optax.adamw)(**hyperparameters(table))
    params = jnp.ones(3)
    state = tx.init(params)
    step = jax.jit(tx.update)
    for row in range(10):
        updates, state = step(jnp.ones(3), state, params)
        read = {name: float(state.hyperparams[name]) for name in ("learning_rate", "weight_decay", "b1", "eps")}
        assert list(read.values()) == float32([column[row] for column in columns.values()])
        params = optax.apply_updates(params, updates)


def test_groups_have_columns_of_their_own() -> None:
    """`optax.multi_transform` gives each label the schedule of its group, weight decay of all groups included."""
    table = Table({"lr.0": RATES, "lr.1": RATES[::-1], "weight_decay": [0.1] * 10})
    chosen = {name: hyperparameters(table, group=group) for group, name in enumerate(("head", "body"))}
    assert [sorted(each) for each in chosen.values()] == [["learning_rate", "weight_decay"]] * 2
    transforms = {name: optax.sgd(each["learning_rate"]) for name, each in chosen.items()}
    params = {"head": jnp.zeros(()), "body": jnp.zeros(())}
    tx = optax.multi_transform(transforms, {name: name for name in params})
    state, step = tx.init(params), jax.jit(tx.update)
    for row in range(10):
        updates, state = step(jax.tree.map(lambda each: each - 1.0, params), state, params)
        assert [float(updates[name]) for name in chosen] == float32([RATES[row], RATES[9 - row]])
    with pytest.raises(ValueError, match=r"group must be one that the table has values for, lr\.0, lr\.1; got None"):
        hyperparameters(Table({"lr.0": RATES, "lr.1": RATES}))


def test_a_million_rows_are_one_program() -> None:
    """A table of a million rows is compiled once for all counts, and is the same in every row asked for."""
    table = make_table(np.random.default_rng(3).random(1_000_000))
    rate = schedule(table)
    traced = []

    @jax.jit
    def look(count: Any) -> Any:
        traced.append(count)
        return rate(count)

    for count in (0, 1, 499_999, 999_999, 1_000_000):
        assert look(count) == np.float32(table.lr[min(count, 999_999)])
    assert len(traced) == 1


def test_a_state_remembers_its_table() -> None:
    """`record_digest` changes no update; `check_digest` accepts its table at any depth and in plain dictionaries."""
    table, other = make_table(), make_table(RATES[::-1])

    def make(of: Table) -> Any:
        chained = optax.chain(optax.sgd(schedule(of)), record_digest(of))
        return optax.MultiSteps(optax.inject_hyperparams(lambda scale: chained)(scale=1.0), 1)

    rates, state = applied(make(table), 5)
    assert rates == float32(RATES[:5])
    check_digest(state, table)
    check_digest({"opt": [{"0": {"table_digest": np.frombuffer(bytes.fromhex(table.digest), np.uint8)}}]}, table)
    with pytest.raises(DigestMismatchError, match=f"belongs to table {table.digest}, not to {other.digest}"):
        check_digest(state, other)
    with pytest.raises(ValueError, match=r"chain record_digest\(table\) into the optimizer"):
        check_digest(optax.sgd(0.1).init(jnp.zeros(())), table)


def test_a_schedule_knows_its_table() -> None:
    """A schedule has its table's digest, column and number of updates; what is no table is refused."""
    rate = schedule(make_table())
    assert (rate.digest, rate.name, rate.updates, rate.run) == (make_table().digest, "lr", 10, None)
    assert repr(rate) == f"<OptaxSchedule lr of table {rate.digest[:12]}, 10 updates>"
    with pytest.raises(TypeError, match=r"table must be a Table, got \[0\.1\]"):
        schedule([0.1])  # type: ignore[arg-type]  # the mistake
