"""The user's formulas as one writes them in NumPy: whole arrays, temporaries, np.cos and np.exp. A peer to beat."""

from __future__ import annotations

from typing import Any

import numpy as np

from scheduler import Schedule, custom
from scheduler.fields import Values


def values(schedule: Schedule, n: int) -> Values:
    """The values of steps 0..n-1."""
    result: Values = _formula(schedule, np.arange(n, dtype=np.float64))
    return result


def _formula(schedule: Schedule, t: Values) -> Any:
    match schedule:
        case custom.LinearWarmup(base_lr, warmup_steps):
            return np.where(t < warmup_steps, base_lr * (t + 1) / warmup_steps, base_lr)
        case custom.ExponentialWarmup(base_lr, warmup_steps, start_lr):
            return start_lr * (base_lr / start_lr) ** np.minimum(1.0, (t + 1) / warmup_steps)
        case custom.CosineWarmup(base_lr, warmup_steps):
            progress = np.minimum(1.0, (t + 1) / warmup_steps)
            return base_lr * (1 - np.cos(np.pi * progress)) / 2
        case custom.WarmupWithDecay(base_lr, warmup_steps, total_steps, min_lr):
            progress = np.minimum(1.0, (t - warmup_steps) / (total_steps - warmup_steps))
            decay = min_lr + (base_lr - min_lr) * 0.5 * (1 + np.cos(np.pi * progress))
            return np.where(t < warmup_steps, base_lr * (t + 1) / warmup_steps, decay)
        case custom.CyclicLR(base_lr, max_lr, step_size, mode, gamma):
            cycle = np.floor(1 + t / (2 * step_size))
            scale = {"triangular": 1.0, "triangular2": 0.5 ** (cycle - 1), "exp_range": gamma**t}[mode]
            return base_lr + (max_lr - base_lr) * np.maximum(0.0, 1 - np.abs(t / step_size - 2 * cycle + 1)) * scale
        case custom.OneCycleLR(max_lr, total_steps, pct_start, div_factor, final_div_factor, anneal_strategy):
            up, start, floor = int(total_steps * pct_start), max_lr / div_factor, max_lr / final_div_factor
            progress = (t - up) / (total_steps - up)
            linear = max_lr + (floor - max_lr) * progress
            cosine = floor + (max_lr - floor) * (1 + np.cos(np.pi * progress)) / 2
            return np.where(
                t < up, start + (max_lr - start) * t / max(up, 1), cosine if anneal_strategy == "cos" else linear
            )
        case custom.CosineAnnealingWarmRestarts(max_lr, min_lr, t_0, t_mult):
            cycle = np.floor(np.log(t / t_0 * (t_mult - 1) + 1) / np.log(t_mult)) if t_mult > 1 else t // t_0
            length = t_0 * t_mult**cycle
            begin = t_0 * (t_mult**cycle - 1) / (t_mult - 1) if t_mult > 1 else t_0 * cycle
            return min_lr + (max_lr - min_lr) * (1 + np.cos(np.pi * (t - begin) / length)) / 2
        case custom.ExponentialCyclicLR(base_lr, max_lr, cycle_length, decay_rate):
            cycle, position = np.divmod(t, cycle_length)
            top, p = max_lr * decay_rate**cycle, position / cycle_length
            up = base_lr + (top - base_lr) * (np.exp(2 * p) - 1) / (np.e - 1)
            return np.where(p < 0.5, up, top - (top - base_lr) * (np.exp(2 * p - 1) - 1) / (np.e - 1))
    raise AssertionError(f"no formula for {schedule.kind}")
