"""The user's schedulers as their library has them: plain Python, one formula per call. The peer of every comparison."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class LinearWarmup:
    """See scheduler.custom."""

    base_lr: float
    warmup_steps: int

    def get_lr(self, step: int) -> float:
        """One value."""
        if step < self.warmup_steps:
            return self.base_lr * (step + 1) / self.warmup_steps
        return self.base_lr


@dataclass
class ExponentialWarmup:
    """See scheduler.custom."""

    base_lr: float
    warmup_steps: int
    start_lr: float = 1e-7

    def get_lr(self, step: int) -> float:
        """One value."""
        if step < self.warmup_steps:
            return float(self.start_lr * (self.base_lr / self.start_lr) ** ((step + 1) / self.warmup_steps))
        return self.base_lr


@dataclass
class CosineWarmup:
    """See scheduler.custom."""

    base_lr: float
    warmup_steps: int

    def get_lr(self, step: int) -> float:
        """One value."""
        if step < self.warmup_steps:
            return self.base_lr * (1 - math.cos(math.pi * (step + 1) / self.warmup_steps)) / 2
        return self.base_lr


@dataclass
class WarmupWithDecay:
    """See scheduler.custom."""

    base_lr: float
    warmup_steps: int
    total_steps: int
    min_lr: float = 0.0

    def get_lr(self, step: int) -> float:
        """One value."""
        if step < self.warmup_steps:
            return self.base_lr * (step + 1) / self.warmup_steps
        progress = min(1.0, (step - self.warmup_steps) / (self.total_steps - self.warmup_steps))
        return self.min_lr + (self.base_lr - self.min_lr) * 0.5 * (1 + math.cos(math.pi * progress))


@dataclass
class CyclicLR:
    """See scheduler.custom."""

    base_lr: float
    max_lr: float
    step_size: int
    mode: str = "triangular"
    gamma: float = 0.99994

    def get_lr(self, step: int) -> float:
        """One value."""
        cycle = math.floor(1 + step / (2 * self.step_size))
        x = abs(step / self.step_size - 2 * cycle + 1)
        if self.mode == "triangular":
            scale = 1.0
        elif self.mode == "triangular2":
            scale = 1 / 2.0 ** (cycle - 1)
        else:
            scale = self.gamma**step
        return self.base_lr + (self.max_lr - self.base_lr) * max(0.0, 1 - x) * scale


@dataclass
class OneCycleLR:
    """See scheduler.custom."""

    max_lr: float
    total_steps: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    anneal_strategy: str = "cos"

    def get_lr(self, step: int) -> float:
        """One value."""
        up = int(self.total_steps * self.pct_start)
        start, floor = self.max_lr / self.div_factor, self.max_lr / self.final_div_factor
        if step < up:
            return start + (self.max_lr - start) * step / up
        progress = (step - up) / (self.total_steps - up)
        if self.anneal_strategy == "cos":
            return floor + (self.max_lr - floor) * 0.5 * (1 + math.cos(math.pi * progress))
        return self.max_lr + (floor - self.max_lr) * progress


@dataclass
class CosineAnnealingWarmRestarts:
    """See scheduler.custom."""

    max_lr: float
    min_lr: float
    t_0: int
    t_mult: int = 2

    def get_lr(self, step: int) -> float:
        """One value."""
        if self.t_mult == 1:
            position, length = step % self.t_0, self.t_0
        else:
            cycle = int(math.log(step / self.t_0 * (self.t_mult - 1) + 1, self.t_mult))
            length = self.t_0 * self.t_mult**cycle
            position = step - self.t_0 * (self.t_mult**cycle - 1) // (self.t_mult - 1)
        return self.min_lr + (self.max_lr - self.min_lr) * 0.5 * (1 + math.cos(math.pi * position / length))


@dataclass
class ExponentialCyclicLR:
    """See scheduler.custom."""

    base_lr: float
    max_lr: float
    cycle_length: int
    decay_rate: float = 0.96

    def get_lr(self, step: int) -> float:
        """One value."""
        cycle = step // self.cycle_length
        top = self.max_lr * self.decay_rate**cycle
        progress = (step % self.cycle_length) / self.cycle_length
        if progress < 0.5:
            return float(self.base_lr + (top - self.base_lr) * (math.exp(2 * progress) - 1) / (math.e - 1))
        return float(top - (top - self.base_lr) * (math.exp(2 * progress - 1) - 1) / (math.e - 1))
