"""Aliases: what people call a schedule elsewhere, and the kind or recipe that it is here.

This is the one place that declares them. The names of transformers' `get_scheduler` need no alias: they are its kinds
without `transformers.`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "1cycle": "torch.OneCycleLR",
        "one_cycle": "torch.OneCycleLR",
        "clr": "torch.CyclicLR",
        "cosine_annealing": "torch.CosineAnnealingLR",
        "warm_restarts": "torch.CosineAnnealingWarmRestarts",
        "exponential": "torch.ExponentialLR",
        "multistep": "torch.MultiStepLR",
        "step": "torch.StepLR",
        "wsd": "transformers.warmup_stable_decay",
        "trapezoidal": "transformers.warmup_stable_decay",
        "noam": "transformer-base",
        "slanted_triangular": "ulmfit",
    }
)
"""Alias, in lower case with underscores, to the name of a kind or a recipe."""

_CAPTURE = "step the scheduler into a table, capture(scheduler, total_steps), and publish that"
_FOLLOWS = "its rates follow the metrics of the training and are not known before it"
_AMEND = (
    "train with a table, such as Constant, and scale or shorten it where the metric stalls: 'lrtables run amend --help'"
)

NO_SCHEDULES: Mapping[str, str] = MappingProxyType(
    {
        "ReduceLROnPlateau": f"{_FOLLOWS}; {_AMEND}",
        "reduce_lr_on_plateau": f"{_FOLLOWS}; {_AMEND}",
        "greedy": f"{_FOLLOWS}; {_AMEND}",
        "LambdaLR": f"its rates come from a Python function, which no JSON can name; {_CAPTURE}",
        "MultiplicativeLR": f"its factors come from a Python function, which no JSON can name; {_CAPTURE}",
        "LRScheduler": "the base class of torch's schedulers has no rates; 'lrtables show' lists those that have",
    }
)
"""Schedulers of torch and transformers that no schedule can be: why, and what to use instead."""
