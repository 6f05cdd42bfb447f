"""A table in JAX: optax trains with its rates, and a job that resumes proves that it has the same table."""

import argparse

import jax
import jax.numpy as jnp
import optax

from client.optax import check_digest, record_digest, schedule
from scheduler.custom import WarmupWithDecay

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=1000, help="updates in all (1000)")
steps = parser.parse_args().steps

table = WarmupWithDecay(0.1, steps // 10, steps).table(steps)
rate = schedule(table)
tx = optax.chain(optax.sgd(rate), record_digest(table))

keys = jax.random.split(jax.random.key(0), 2)
data = jax.random.normal(keys[0], (64, 8))
target = data @ jax.random.normal(keys[1], (8, 1))


@jax.jit
def train(weights: jax.Array, state: optax.OptState) -> tuple[jax.Array, optax.OptState, jax.Array]:
    """One update, compiled once for the whole training."""
    loss, gradient = jax.value_and_grad(lambda each: jnp.mean((data @ each - target) ** 2))(weights)
    updates, state = tx.update(gradient, state, weights)
    return optax.apply_updates(weights, updates), state, loss


weights = jnp.zeros((8, 1))
state = tx.init(weights)
for step in range(steps):
    if step == steps // 2:  # as after a restart: the count and the digest come from the checkpoint
        state = jax.device_put(jax.device_get(state))
        check_digest(state, table)
    if step % max(1, steps // 10) == 0:
        print(f"step {step}: lr {rate(step):.6f}")
    weights, state, loss = train(weights, state)
print(f"loss {loss:.6f} after {steps} updates with table {table.digest[:12]}")
