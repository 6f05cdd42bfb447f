"""The user's formulas, word for word, in floats or to any precision: what the values are compared with."""

from __future__ import annotations

import math
from typing import Any

import mpmath

from scheduler import Schedule, custom

mpmath.mp.prec = 200


def formula(schedule: Schedule, step: int, m: Any = math) -> Any:
    """One value by the formula of the user's documents, with the functions and numbers of `m` (math or mpmath)."""
    number = m.mpf if m is mpmath else float
    match schedule:
        case custom.LinearWarmup() | custom.CosineWarmup() | custom.ExponentialWarmup():
            return _warmup(schedule, step, m, number)
        case custom.WarmupWithDecay(base_lr, warmup_steps, total_steps, min_lr):
            if step < warmup_steps:
                return number(base_lr) * (step + 1) / warmup_steps
            progress = min(number(1), number(step - warmup_steps) / max(total_steps - warmup_steps, 1))
            return number(min_lr) + (number(base_lr) - number(min_lr)) * 0.5 * (1 + m.cos(m.pi * progress))
        case custom.CyclicLR():
            return _cyclic(schedule, step, number)
        case custom.OneCycleLR():
            return _one_cycle(schedule, step, m, number)
        case custom.CosineAnnealingWarmRestarts(max_lr, min_lr, t_0, t_mult):
            length = t_0
            while step >= length:
                step -= length
                length *= t_mult
            return number(min_lr) + (number(max_lr) - number(min_lr)) * (1 + m.cos(m.pi * step / length)) / 2
        case custom.ExponentialCyclicLR():
            return _exponential_cyclic(schedule, step, m, number)
    raise AssertionError(f"no formula for {schedule.kind}")


def _warmup(schedule: Any, step: int, m: Any, number: Any) -> Any:
    if step >= schedule.warmup_steps:
        return number(schedule.base_lr)
    progress = number(step + 1) / schedule.warmup_steps
    match schedule:
        case custom.LinearWarmup(base_lr):
            return number(base_lr) * progress
        case custom.CosineWarmup(base_lr):
            return number(base_lr) * (1 - m.cos(m.pi * progress)) / 2
    return number(schedule.start_lr) * (number(schedule.base_lr) / number(schedule.start_lr)) ** progress


def _cyclic(schedule: custom.CyclicLR, step: int, number: Any) -> Any:
    cycle = 1 + step // (2 * schedule.step_size)
    x = abs(number(step) / schedule.step_size - 2 * cycle + 1)
    scale = {
        "triangular": lambda: number(1),
        "triangular2": lambda: number(1) / 2 ** (cycle - 1),
        "exp_range": lambda: number(schedule.gamma) ** step,
    }[schedule.mode]()
    return number(schedule.base_lr) + (number(schedule.max_lr) - number(schedule.base_lr)) * max(0, 1 - x) * scale


def _one_cycle(schedule: custom.OneCycleLR, step: int, m: Any, number: Any) -> Any:
    top, up = number(schedule.max_lr), int(schedule.total_steps * schedule.pct_start)
    start, floor = top / number(schedule.div_factor), top / number(schedule.final_div_factor)
    if step < up:
        return start + (top - start) * step / up
    if step >= schedule.total_steps:
        return floor
    progress = number(step - up) / (schedule.total_steps - up)
    if schedule.anneal_strategy == "linear":
        return top + (floor - top) * progress
    return floor + (top - floor) * (1 + m.cos(m.pi * progress)) / 2


def _exponential_cyclic(schedule: custom.ExponentialCyclicLR, step: int, m: Any, number: Any) -> Any:
    cycle, position = divmod(step, schedule.cycle_length)
    low, top = number(schedule.base_lr), number(schedule.max_lr) * number(schedule.decay_rate) ** cycle
    progress = number(position) / schedule.cycle_length
    if 2 * position < schedule.cycle_length:
        return low + (top - low) * (m.exp(2 * progress) - 1) / (m.e - 1)
    return top - (top - low) * (m.exp(2 * progress - 1) - 1) / (m.e - 1)
