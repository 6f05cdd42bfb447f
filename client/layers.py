"""Layer-wise decay of the learning rate: the lower a layer, the smaller its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from scheduler import Schedule
from scheduler.compose import Scale
from scheduler.interop.group_fields import Group


def layer_decay(
    named_parameters: Iterable[tuple[str, Any]],
    layer_of: Callable[[str], int],
    *,
    layers: int,
    schedule: Schedule,
    decay: float,
) -> tuple[list[Group], list[Scale]]:
    """Parameter groups for an optimizer, and a schedule for each: one per layer, from the lowest layer up.

    Formula: lr of layer l at step t = decay^(layers - l) schedule(t). The last layer, usually the head, has the
    schedule itself; at every step and boundary the rates keep these ratios, and they end together.

    Args:
        named_parameters: what to train, as `model.named_parameters()` gives it.
        layer_of: a parameter's name to its layer, 0 (the embedding) to `layers` (the head).
        layers: number of the last layer. In a transformer with n blocks, between embedding and head, it is n + 1.
        schedule: the last layer's schedule. What it drives beside the rate, such as momentum, all layers share.
        decay: a layer's rate over that of the layer above it, greater than 0 and at most 1; 0.65 to 0.9 is usual.

    Groups carry their layer's `name`; a layer without parameters has none. Raises `ValueError` for a decay out of
    range, for no parameters, and for a layer that is not one of 0 to `layers`, with the parameter's name.

    Groups with an `lr` of their own and one table of factors give such ratios, too, up to rounding:
    `TableLR(optimizer, table, relative=True)`.

    Parameters without weight decay take a call of their own, with the same `layers`: join the groups and the schedules
    of both calls, in the same order, and give the groups of the second `weight_decay=0.0`.

    Source: Howard and Ruder, 2018 (discriminative fine-tuning, decay 1/2.6); Clark et al., 2020 (ELECTRA); Bao et al.,
    2021 (BEiT); timm's `layer_decay`, which has the same scales where its least scale is left at 0.

    Example:
        groups, schedules = layer_decay(
            model.named_parameters(),
            lambda name: 0 if name.startswith("embedding") else 13 if name.startswith("head") else block(name) + 1,
            layers=13, schedule=WarmupWithDecay(5e-4, 1000, 20_000), decay=0.75,
        )
        scheduler = TableLR(AdamW(groups), client.fetch(schedules))
    """
    if not 0.0 < decay <= 1.0:
        raise ValueError(f"decay must be > 0 and <= 1, got {decay}")
    members: dict[int, list[Any]] = {}
    for name, parameter in named_parameters:
        members.setdefault(_checked(layer_of(name), layers, name), []).append(parameter)
    if not members:
        raise ValueError("named_parameters must have at least one parameter, got none")
    ascending = sorted(members)
    groups = [{"params": members[layer], "name": f"layer {layer}"} for layer in ascending]
    return groups, [Scale(schedule, decay ** (layers - layer)) for layer in ascending]


def _checked(layer: int, layers: int, name: str) -> int:
    if layer not in range(layers + 1):
        raise ValueError(f"layer_of must give a layer from 0 to {layers}, got {layer!r} for {name!r}")
    return layer
