"""A table in Keras 3: `fit` trains with its rates, and the saved model names it by its digest.

KERAS_BACKEND chooses the backend, jax or torch.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras

from client.keras import TableSchedule, tables_from
from scheduler.custom import WarmupWithDecay

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=200, help="updates in all, in 2 parts (200)")
steps = parser.parse_args().steps

table = WarmupWithDecay(0.1, steps // 10, steps).table(steps)

keras.utils.set_random_seed(0)
data = keras.random.normal((16 * (steps // 2), 8))
target = keras.ops.sum(data, axis=1, keepdims=True)


class PrintRate(keras.callbacks.Callback):
    """Prints the rate of every tenth update before it is made."""

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        """Keras calls this before each update."""
        done = int(self.model.optimizer.iterations)
        if done % max(1, steps // 10) == 0:
            print(f"update {done}: lr {float(self.model.optimizer.learning_rate):.6f}")


model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(TableSchedule(table)), loss="mse")
model.fit(data, target, batch_size=16, shuffle=False, verbose=0, callbacks=[PrintRate()])

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.keras"
    model.save(path)
    with tables_from(table):  # or a client
        model = keras.saving.load_model(path)
model.fit(data, target, batch_size=16, shuffle=False, verbose=0, callbacks=[PrintRate()])
print(f"{int(model.optimizer.iterations)} updates with table {table.digest[:12]}")
