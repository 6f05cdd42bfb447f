"""Trainings with torchtitan's container of schedulers, in a process that has torchtitan on its path."""

from __future__ import annotations

from typing import Any

from client.trainers.torchtitan import RateFactor
from scheduler import Table
from tests.support.client.tables import make_sgd
from tests.support.client.training import through_file, update
from tests.trainers.support import record_rates, report

TABLE = Table({"lr": [0.1 / (k + 3) for k in range(12)]})


def train(container_class: Any, steps: int, state: Any = None) -> Any:
    """What each update of two optimizers used, and their states and the container's at the end."""
    optimizers = [make_sgd(), make_sgd()]
    container = container_class(optimizers, RateFactor(TABLE))
    if state is not None:
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        container.load_state_dict(state["schedulers"])
    rates = [record_rates(optimizer) for optimizer in optimizers]
    for _ in range(steps):
        for optimizer in optimizers:
            update(optimizer)
        container.step()
    states = [optimizer.state_dict() for optimizer in optimizers]
    return rates, {"schedulers": container.state_dict(), "optimizers": states}


def main() -> None:
    from torchtitan.components.optimizer.lr_scheduler import LRSchedulersContainer  # noqa: PLC0415  # on its path alone

    _, state = train(LRSchedulersContainer, 5)
    resumed, _ = train(LRSchedulersContainer, 7, through_file(state))
    report({"fresh": train(LRSchedulersContainer, 12)[0], "resumed": resumed})


if __name__ == "__main__":
    main()
