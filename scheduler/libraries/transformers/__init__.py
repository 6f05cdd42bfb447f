"""Twins of transformers' `get_scheduler` and of its Trainer (transformers 5.23.0)."""

from scheduler.libraries.transformers.arguments import (
    ADAPTIVE,
    TrainingArgumentsLike,
    from_training_arguments,
    training_steps,
)
from scheduler.libraries.transformers.floors import CosineWarmupWithMinLR, CosineWithMinLR, WarmupStableDecay
from scheduler.libraries.transformers.kinds import (
    Constant,
    ConstantWithWarmup,
    Cosine,
    CosineWithRestarts,
    InverseSqrt,
    Linear,
    Polynomial,
)

__all__ = [
    "ADAPTIVE",
    "Constant",
    "ConstantWithWarmup",
    "Cosine",
    "CosineWarmupWithMinLR",
    "CosineWithMinLR",
    "CosineWithRestarts",
    "InverseSqrt",
    "Linear",
    "Polynomial",
    "TrainingArgumentsLike",
    "WarmupStableDecay",
    "from_training_arguments",
    "training_steps",
]
