"""What the rows of a saved scheduler count: steps or epochs, told by the counts that a checkpoint holds beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scheduler.importing.configurations import BadFileError
from scheduler.table_format import Axis


@dataclass(frozen=True)
class Counts:
    """How far a training was when it was saved."""

    by_lightning: bool = False
    """Whether Lightning saved it."""
    steps: int | None = None
    """Optimizer steps, those of all optimizers together."""
    epochs: frozenset[int] = field(default=frozenset())
    """Epochs that a scheduler of epochs can have been stepped for: several where the checkpoint leaves it open."""

    def axis(self, position: int, given: Axis | None) -> tuple[Axis, tuple[str, ...]]:
        """What a scheduler counts that is at this position, and sentences about it.

        Args:
            position: steps of the scheduler.
            given: what the user says, which decides.

        Raises `BadFileError` where nobody knows.
        """
        if given is not None:
            return given, ()
        if not self.by_lightning:
            return self._axis_of_others(position)
        steps, epochs = position == self.steps, position in self.epochs
        if position == 0 or steps == epochs:
            which = "no sign of" if position == 0 else "both that of" if epochs else "neither that of"
            raise BadFileError(
                f"--axis step or --axis epoch (axis) must be given: the scheduler's position {position} is {which} "
                f"Lightning's {self.steps} steps and {self._epochs_text} epochs. It is the scheduler's interval in "
                "configure_optimizers; a row lasts its frequency"
            )
        return (
            ("epoch", ("rows count epochs, as the position does: --axis step says otherwise",))
            if epochs
            else ("step", ())
        )

    def _axis_of_others(self, position: int) -> tuple[Axis, tuple[str, ...]]:
        """Without Lightning, a row is one call of `scheduler.step()`."""
        if position and position in self.epochs:
            raise BadFileError(
                f"--axis step or --axis epoch (axis) must be given: the scheduler's position {position} may be that of "
                f"the checkpoint's epoch {min(self.epochs)}"
            )
        return "step", ("a row is one call of scheduler.step(): --axis epoch says that it was called once per epoch",)

    @property
    def _epochs_text(self) -> str:
        return " or ".join(map(str, sorted(self.epochs))) or "unknown"


def counts_of(content: Any) -> Counts:
    """The counts in a checkpoint. Lightning's `epoch` is that under way until it has ended, then the next one's."""
    if not isinstance(content, Mapping):
        return Counts()
    steps, epoch = _whole(content.get("global_step")), _whole(content.get("epoch"))
    open_epochs = frozenset() if epoch is None else frozenset({epoch, epoch + 1})
    if "lr_schedulers" not in content:
        return Counts(epochs=open_epochs)
    stepped = _stepped_epochs(content)
    return Counts(True, steps, open_epochs if stepped is None else frozenset({stepped}))


def _stepped_epochs(content: Mapping[Any, Any]) -> int | None:
    """Epochs for which Lightning has stepped its schedulers: it does so after the last batch of each."""
    loop = _inner(content, "loops", "fit_loop")
    epochs, batches = _inner(loop, "epoch_progress", "current"), _inner(loop, "epoch_loop.batch_progress")
    begun, ended, at_last = _whole(epochs.get("started")), _whole(epochs.get("completed")), batches.get("is_last_batch")
    if begun is None or ended is None or not isinstance(at_last, bool) or ended != content.get("epoch"):
        return None
    return ended + 1 if at_last and begun > ended else ended


def _inner(data: Any, *keys: str) -> Mapping[Any, Any]:
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
