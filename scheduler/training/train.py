"""A small real training: a classifier of scikit-learn's handwritten digits, by torch (extra `demo`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.optim import SGD, lr_scheduler

from scheduler.table import Table
from scheduler.training.choices import Choice, Settings

MOMENTUM = 0.9
_HIDDEN = 64
_TEST_DIGITS = 360


@dataclass(frozen=True)
class Digits:
    """scikit-learn's handwritten digits: those to train with, and those kept out, the same in every run."""

    images: Tensor  # float32, shape [n, 64], 0..1
    labels: Tensor  # int64, shape [n], 0..9
    test_images: Tensor
    test_labels: Tensor

    @classmethod
    def load(cls) -> Digits:
        """Load the digits from the installed package: nothing is downloaded."""
        images, labels = load_digits(return_X_y=True)
        parts = train_test_split(images / 16, labels, test_size=_TEST_DIGITS, random_state=0, stratify=labels)
        train, test, train_labels, test_labels = map(torch.from_numpy, parts)
        return cls(train.float(), train_labels, test.float(), test_labels)

    def batches(self, batch_size: int) -> int:
        """Batches an epoch; the last one may be smaller."""
        return -(-len(self.labels) // batch_size)


@dataclass(frozen=True)
class Epoch:
    """The measurements of an epoch."""

    lr: float
    """The rate of its last update."""
    loss: float
    """Mean over the epoch's training digits, each measured before its own update."""
    test_loss: float
    accuracy: float
    """Share of the test digits recognised, 0 to 1."""


@dataclass
class Run:
    """A training's record: rate and momentum of every update, in order; the epochs; the final weights."""

    rates: list[float] = field(default_factory=list)
    momenta: list[float] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)


class Driver(Protocol):
    """Sets the optimizer's rate during a training."""

    def before_update(self, epoch: int, step: int) -> None:
        """Called before update `step`, both counted from 0."""

    def after_update(self) -> None:
        """Called after every update."""

    def after_epoch(self, test_loss: float) -> None:
        """Called when an epoch has been measured."""


class BuiltIn:
    """Torch's own scheduler, stepped as its documentation says.

    Raises `ValueError`, with the parameters, where torch cannot work with them.
    """

    def __init__(self, optimizer: SGD, choice: Choice, parameters: Mapping[str, Any]) -> None:
        self._choice = choice
        try:
            self._scheduler = getattr(lr_scheduler, choice.torch_class)(optimizer, **parameters)
        except (ValueError, ZeroDivisionError) as error:  # OneCycleLR divides by 0 where its rise is one step long
            raise ValueError(f"torch's {choice.torch_class} cannot work with {dict(parameters)}: {error}") from error

    def before_update(self, epoch: int, step: int) -> None:
        """Nothing: torch's schedulers set the next rate when they are stepped."""

    def after_update(self) -> None:
        """Step a scheduler that counts batches."""
        if self._choice.per_batch:
            self._scheduler.step()

    def after_epoch(self, test_loss: float) -> None:
        """Step a scheduler that counts epochs; the one that watches the loss is told it."""
        if self._choice.watches_loss:
            self._scheduler.step(test_loss)
        elif not self._choice.per_batch:
            self._scheduler.step()


class FromTable:
    """A table, applied by the plain loop: row k is in force during epoch k or update k, whichever it counts."""

    def __init__(self, optimizer: SGD, table: Table) -> None:
        self._optimizer = optimizer
        self._table = table

    def before_update(self, epoch: int, step: int) -> None:
        """Write the row in force into the optimizer: the rate, and the momentum where there is one."""
        row = self._table.row(epoch if self._table.axis == "epoch" else step)
        for param_group in self._optimizer.param_groups:
            param_group.update(row)

    def after_update(self) -> None:
        """Nothing: a table has no state."""

    def after_epoch(self, test_loss: float) -> None:
        """Nothing: a table has no state."""


def train(
    digits: Digits,
    settings: Settings,
    make_driver: Callable[[SGD], Driver],
    *,
    on_update: Callable[[], object],
    on_epoch: Callable[[int, Epoch], object],
) -> Run:
    """Train a new classifier, telling `on_epoch` how many epochs are done.

    Equal digits, settings and applied rates give equal weights, bit for bit.
    """
    trainer = _Trainer(digits, settings)
    driver = make_driver(trainer.optimizer)
    for number in range(settings.epochs):
        loss = 0.0
        for batch in trainer.batches():
            driver.before_update(number, len(trainer.run.rates))
            loss += trainer.update(batch)
            driver.after_update()
            on_update()
        epoch = trainer.measure(loss)
        driver.after_epoch(epoch.test_loss)
        on_epoch(number + 1, epoch)
    return trainer.run


class _Trainer:
    """The model, its optimizer, the order of the digits, and the record."""

    def __init__(self, digits: Digits, settings: Settings) -> None:
        self._digits = digits
        self._batch_size = settings.batch_size
        self._order = torch.Generator().manual_seed(settings.seed)
        self._model = _classifier(settings.seed)
        self._loss = nn.CrossEntropyLoss()
        self.optimizer = SGD(self._model.parameters(), lr=settings.lr, momentum=MOMENTUM)
        # Detached, the weights share the model's memory: after the last update they are the final ones.
        self.run = Run(weights=[weight.detach() for weight in self._model.parameters()])

    def batches(self) -> Iterator[Tensor]:
        """An epoch's digits in a new order: a batch of indexes at a time."""
        order = torch.randperm(len(self._digits.labels), generator=self._order)
        for first in range(0, len(order), self._batch_size):
            yield order[first : first + self._batch_size]

    def update(self, batch: Tensor) -> float:
        """One optimizer update. Returns the sum of its digits' losses."""
        (group,) = self.optimizer.param_groups
        self.run.rates.append(group["lr"])
        self.run.momenta.append(group["momentum"])
        loss: Tensor = self._loss(self._model(self._digits.images[batch]), self._digits.labels[batch])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item() * len(batch)

    @torch.no_grad()
    def measure(self, loss: float) -> Epoch:
        """End an epoch whose losses sum to `loss`: test the classifier, and record the results."""
        outputs = self._model(self._digits.test_images)
        labels = self._digits.test_labels
        epoch = Epoch(
            lr=self.run.rates[-1],
            loss=loss / len(self._digits.labels),
            test_loss=self._loss(outputs, labels).item(),
            accuracy=(outputs.argmax(dim=1) == labels).double().mean().item(),
        )
        self.run.epochs.append(epoch)
        return epoch


def _classifier(seed: int) -> nn.Sequential:
    """A new classifier, its first weights drawn from `seed`; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(64, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 10))
