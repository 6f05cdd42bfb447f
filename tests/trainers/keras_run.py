"""A process with one Keras backend, as KERAS_BACKEND names it: prints what `test_keras.py` asks for, as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from client import Client
from client.keras import TableSchedule, tables_from
from scheduler import Table

RATES = [0.1 / (k + 1) for k in range(10)]
SAMPLES = Table({"lr": RATES}, axis="sample", stride=6)


def applied(schedule: Any, updates: int, **options: Any) -> list[float]:
    """By how much each call of a real SGD moves a variable whose gradient is -1: the rate it really used."""
    variable = keras.Variable(np.zeros((), "float32"))
    optimizer = keras.optimizers.SGD(schedule, **options)
    optimizer.build([variable])
    moves = []
    for _ in range(updates):
        variable.assign(0.0)
        optimizer.apply([keras.ops.full((), -1.0)], [variable])
        moves.append(float(keras.ops.convert_to_numpy(variable.value)))
    return moves


def fitted(schedule: Any) -> list[float]:
    """The rate before each of 5 batches of `fit`, and after them, as the optimizer shows it."""
    seen: list[float] = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            seen.append(float(self.model.optimizer.learning_rate))

    model = make_model(schedule)
    model.fit(np.ones((10, 2)), np.ones((10, 1)), batch_size=2, epochs=1, verbose=0, callbacks=[Look()])
    return [*seen, float(model.optimizer.learning_rate)]


def make_model(schedule: Any) -> Any:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(schedule), loss="mse")
    return model


def saved(folder: Path) -> dict[str, Any]:
    model = make_model(TableSchedule(Table({"lr": RATES}), name="warm"))
    model.fit(np.ones((6, 2)), np.ones((6, 1)), batch_size=2, verbose=0)
    model.save(folder / "model.keras")
    copy = keras.optimizers.SGD.from_config(model.optimizer.get_config())
    return {"config": model.optimizer.get_config()["learning_rate"]["config"], "copy": rate_of(copy, 4)}


def rate_of(optimizer: Any, step: int) -> float:
    schedule = optimizer.get_config()["learning_rate"]
    return float(keras.saving.deserialize_keras_object(schedule)(step))


def loaded(folder: Path, how: str) -> Any:
    """The next rate of the loaded model, or the error."""
    path = folder / "model.keras"
    try:
        if how == "table":
            with tables_from(Table({"lr": RATES})):
                model = keras.saving.load_model(path)
        elif how == "other":
            with tables_from(Table({"lr": RATES[::-1]})):
                model = keras.saving.load_model(path)
        elif how == "client":
            with tables_from(Client(cache=folder / "cache", offline=True)):
                model = keras.saving.load_model(path)
        else:
            model = keras.saving.load_model(path)
    except LookupError as error:
        return f"{type(error).__name__}: {error}"
    return float(model.optimizer.learning_rate)


def rates() -> dict[str, Any]:
    """What real updates used, by what a table or an optimizer is."""
    table, strict = Table({"lr": RATES}), Table({"lr": RATES}, after="error")
    decay = keras.optimizers.schedules.PolynomialDecay(1.0, 4, 0.0)
    return {
        "plain": applied(TableSchedule(table), 12),
        "accumulated": applied(TableSchedule(table, gradient_accumulation_steps=3), 30, gradient_accumulation_steps=3),
        "untold": applied(TableSchedule(table), 9, gradient_accumulation_steps=3),
        "samples": applied(TableSchedule(SAMPLES, per_step=4), 9),
        "epochs": applied(TableSchedule(Table({"lr": RATES[:2]}, axis="epoch"), per_epoch=3), 6),
        "error": applied(TableSchedule(strict), 12),
        "then": applied(TableSchedule(Table({"lr": RATES}, after="release"), then=decay), 15),
        "group": applied(TableSchedule(Table({"lr.0": RATES, "lr.1": RATES[::-1]}), group=1), 10),
        "fit": fitted(TableSchedule(table)),
        "numbers": [float(TableSchedule(table)(step)) for step in range(11)],
    }


if __name__ == "__main__":
    what, folder, ways = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    calls: dict[str, Callable[[], Any]] = {
        "rates": rates,
        "save": lambda: saved(folder),
        "load": lambda: [loaded(folder, way) for way in ways],
    }
    print(json.dumps(calls[what]()))
