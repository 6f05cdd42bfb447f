"""A fitted curve as one of our schedules: the kind that people would have used for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.audit.fit.forms import Form
from scheduler.builtin import CosineAnnealingLR, ExponentialLR, LinearLR, OneCycleLR, PolynomialLR
from scheduler.compose import Constant, Ramp, Sequence
from scheduler.custom import LinearWarmup, WarmupWithDecay
from scheduler.libraries import transformers
from scheduler.schedule import Schedule

Found = Mapping[str, float]
"""The lengths and coefficients of a form by name; counts of steps are whole."""


def schedule_of(form: Form, found: Found, *, for_transformers: bool) -> Schedule:
    """The schedule of a fitted curve. Raises `ScheduleError` (a `ValueError`) where the numbers give none.

    A curve that several libraries have is that of transformers where its Trainer wrote the log, else torch's or ours.
    """
    if form.head == "zero" or (form.head == "none" and for_transformers):
        made = _of_transformers(form, found)
        if made is not None:
            return made
    warmup = int(found.get("warmup", 0))
    if form.head == "one" and form.body == "cosine":
        return WarmupWithDecay(found["peak"], warmup, int(found["total"]), found.get("floor", 0.0))
    if form.head == "one" and form.body == "constant":
        return LinearWarmup(found["peak"], warmup)
    if form.head == "cosine from":
        return _one_cycle(found)
    body = _body(form, found, warmup)
    if form.head == "none":
        return body
    if form.head == "one":
        return Sequence([LinearWarmup(found["peak"], warmup), body], [warmup])
    return Sequence([Ramp(found.get("start", 0.0), found["peak"], warmup), body], [warmup])


def _one_cycle(found: Found) -> Schedule:
    """Its rise ends at step pct_start · total - 1, its fall at total - 1."""
    total = int(found["total"]) + 1
    return OneCycleLR(
        found["peak"],
        total,
        pct_start=(found["warmup"] + 1) / total,
        div_factor=_short(found["peak"], found["start"]),
        final_div_factor=_short(found["start"], found["floor"]),
    )


def _short(dividend: float, divisor: float) -> float:
    """A quotient with no more digits than people type."""
    return float(f"{dividend / divisor:.5g}")


def _of_transformers(form: Form, found: Found) -> Schedule | None:
    peak, warmup = found["peak"], int(found.get("warmup", 0))
    total, floor = int(found.get("total", 0)), found.get("floor", 0.0)
    match form.body:
        case "constant":
            return transformers.ConstantWithWarmup(peak, warmup) if warmup else transformers.Constant(peak)
        case "linear" if form.has_floor:
            return transformers.Polynomial(peak, warmup, total, lr_end=floor, power=1.0)
        case "linear":
            return transformers.Linear(peak, warmup, total)
        case "cosine" if form.has_floor:
            return transformers.CosineWithMinLR(peak, warmup, total, min_lr=floor)
        case "cosine":
            return transformers.Cosine(peak, warmup, total)
        case "polynomial":
            return transformers.Polynomial(peak, warmup, total, lr_end=0.0, power=found["power"])
        case "inverse_sqrt":
            return transformers.InverseSqrt(peak, warmup, timescale=found["scale"])
        case "exponential":
            return None
    if form.has_floor and warmup:  # there the warmup, too, begins at the floor
        return None
    shape: Any = form.body.removeprefix("stable ")
    decay = total - int(found["stable"])
    return transformers.WarmupStableDecay(
        peak,
        warmup,
        decay,
        total,
        decay_type=shape,
        min_lr_ratio=floor / peak if peak else 0.0,
    )


def _body(form: Form, found: Found, warmup: int) -> Schedule:
    """What follows the warmup, on a clock that begins there."""
    peak, floor, length = found["peak"], found.get("floor", 0.0), int(found.get("total", 0)) - warmup
    match form.body:
        case "constant":
            return Constant(peak)
        case "linear":
            return LinearLR(peak, start_factor=1.0, end_factor=floor / peak if peak else 1.0, total_iters=length)
        case "cosine":
            return CosineAnnealingLR(peak, length, floor)
        case "polynomial":
            return PolynomialLR(peak, length, found["power"])
        case "inverse_sqrt":
            return transformers.InverseSqrt(peak, 0, timescale=found["scale"])
        case "exponential":
            return ExponentialLR(peak, found["gamma"])
    stable = int(found["stable"]) - warmup
    shape: Any = form.body.removeprefix("stable ")
    return Sequence([Constant(peak), Ramp(peak, floor, length - stable, shape)], [stable])
