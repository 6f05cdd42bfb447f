"""The torch schedulers of `python -m scheduler` by name, and the settings of a training. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

BASE_LR = 0.1
"""The optimizer's rate where the scheduler does not set it itself."""
_CYCLE_EPOCHS = 4  # a cyclic scheduler rises over so many epochs, or half of a shorter training
_DROPS = (0.3, 0.6, 0.9)  # shares of a training after which the rate drops, so that a short one shows a curve too
_PATIENCE = 0.1  # share of a training


@dataclass(frozen=True)
class Choice:
    """One of torch's schedulers: its class, the options it uses, and how often it steps."""

    torch_class: str
    defaults: Mapping[str, Any]
    """Option to its default; None: it depends on the length of the training. `lr` is the optimizer's."""
    torch_names: Mapping[str, str] = field(default_factory=dict)
    """Option to torch's parameter, where that has another name."""
    per_batch: bool = False
    watches_loss: bool = False
    """Whether its rates depend on how the training goes, so that no table can hold them beforehand."""

    @property
    def kind(self) -> str:
        """The kind of schedule that is this scheduler's twin, where there is one."""
        return f"torch.{self.torch_class}"


_ONE_CYCLE = {"max_lr": 0.1, "pct_start": 0.3, "div_factor": 25.0, "final_div_factor": 1e4, "anneal_strategy": "cos"}
_CYCLIC = {"base_lr": 0.001, "max_lr": 0.1, "step_size": None, "mode": "triangular", "gamma": 1.0}

CHOICES: Mapping[str, Choice] = MappingProxyType(
    {
        "step": Choice("StepLR", {"lr": BASE_LR, "step_size": None, "gamma": 0.1}),
        "multistep": Choice("MultiStepLR", {"lr": BASE_LR, "milestones": None, "gamma": 0.1}),
        "exponential": Choice("ExponentialLR", {"lr": BASE_LR, "gamma": 0.95}),
        "cosine": Choice("CosineAnnealingLR", {"lr": BASE_LR, "t_max": None, "eta_min": 0.0}, {"t_max": "T_max"}),
        "onecycle": Choice("OneCycleLR", _ONE_CYCLE, per_batch=True),
        "cyclic": Choice("CyclicLR", _CYCLIC, {"step_size": "step_size_up"}, per_batch=True),
        "plateau": Choice("ReduceLROnPlateau", {"lr": BASE_LR, "factor": 0.1, "patience": None}, watches_loss=True),
    }
)
"""The cyclical schedulers step once a batch, the others once an epoch."""


@dataclass(frozen=True)
class Settings:
    """A training: which scheduler with which options, and everything else that decides the result.

    `options` holds those that were given; the others have the choice's defaults.
    """

    choice: Choice
    options: Mapping[str, Any]
    epochs: int
    batch_size: int
    seed: int

    @property
    def lr(self) -> float:
        """The optimizer's own rate; the cyclical schedulers replace it."""
        return float(self.options.get("lr", BASE_LR))

    def parameters(self, batches: int) -> dict[str, Any]:
        """Arguments for torch's class, by its own names, in a training of `batches` batches an epoch."""
        drops = [max(int(share * self.epochs), 1) for share in _DROPS]
        by_length = {
            "t_max": self.epochs,
            "step_size": min(_CYCLE_EPOCHS, max(self.epochs // 2, 1)) * batches if self.choice.per_batch else drops[0],
            "milestones": sorted(set(drops)),
            "patience": int(_PATIENCE * self.epochs),
        }
        options = {**self.choice.defaults, **self.options}
        parameters = {
            self.choice.torch_names.get(name, name): by_length[name] if value is None else value
            for name, value in options.items()
            if name != "lr"
        }
        if self.choice.torch_class == "OneCycleLR":
            parameters["total_steps"] = self.epochs * batches
        return parameters
