"""How exactly the numbers of a log are written."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from scheduler.audit.logs.precision import Precision, find_precision

CURVE = 3e-4 * (1 + np.cos(np.linspace(0, 3, 60))) / 2
BRAIN = torch.tensor(CURVE).to(torch.bfloat16).double().numpy()


HALVES = {"f16": torch.float16, "bf16": torch.bfloat16}


def precision_of(words: list[str]) -> str:
    return str(find_precision(words, np.array([float(word) for word in words])))


@pytest.mark.parametrize(
    ("written", "precision"),
    [
        pytest.param([repr(value) for value in CURVE.tolist()], "float64", id="repr"),
        pytest.param([repr(value) for value in CURVE.astype(np.float32).astype(float).tolist()], "float32", id="cast"),
        pytest.param([str(value) for value in CURVE.astype(np.float32)], "float32", id="as NumPy writes float32"),
        pytest.param([repr(value) for value in CURVE.astype(np.float16).astype(float).tolist()], "float16", id="half"),
        pytest.param([repr(value) for value in BRAIN.tolist()], "bfloat16", id="bfloat16"),
        pytest.param([str(np.float32(value)) for value in BRAIN.tolist()], "bfloat16", id="bfloat16 as float32"),
        pytest.param([repr(0.5**n) for n in range(40)], "float32", id="powers of two"),
        pytest.param([repr(1 - n / 256) for n in range(256)], "float32", id="a line of 256 rates"),
        pytest.param([f"{value:.4g}" for value in CURVE], "4 significant digits", id=".4g"),
        pytest.param([f"{value:.3e}" for value in CURVE], "4 significant digits", id=".3e"),
        pytest.param([f"{value:.1e}" for value in CURVE], "2 significant digits", id=".1e"),
        pytest.param([f"{value:.6f}" for value in CURVE], "6 decimal places", id=".6f"),
        pytest.param([repr(round(value, 7)) for value in CURVE.tolist()], "7 decimal places", id="round"),
        pytest.param(["0.1"] * 30 + ["0.01"] * 30 + ["0.001"] * 30, "float64", id="round numbers"),
        pytest.param(["0.0"] * 5, "float64", id="zeros"),
    ],
)
def test_the_precision_is_found_from_the_numbers(written: list[str], precision: str) -> None:
    """Each usual way to write rates is told from the others."""
    assert precision_of(written) == precision


@given(
    st.lists(st.floats(1e-9, 10.0), min_size=12, max_size=40, unique=True),
    st.sampled_from(["r", ".3g", ".4g", ".5e", ".6f", "f32", "f16", "bf16"]),
)
def test_a_rate_agrees_with_what_it_was_written_as(values: list[float], form: str) -> None:
    """However rates are written, each lies within the bounds of its number."""
    exact = np.array(values)
    if form == "f32":
        words = [repr(float(np.float32(value))) for value in values]
    elif form in HALVES:
        words = [repr(value) for value in torch.tensor(values, dtype=torch.float64).to(HALVES[form]).tolist()]
    else:
        words = [repr(value) if form == "r" else f"{value:{form}}" for value in values]
    logged = np.array([float(word) for word in words])
    found = find_precision(words, logged)
    assume(form not in HALVES or found.kind.endswith("float16"))  # some are few, or lack a last bit by chance
    low, high = found.bounds(logged)
    assert ((low <= exact) & (exact <= high)).all()


def test_padded_zeros_tell_decimal_places() -> None:
    """A log of "%.4f" in which most rates are 0.0000 has four decimal places."""
    words = [f"{rate:.4f}" for rate in np.linspace(0.0, 5e-4, 50)]
    assert find_precision(words, np.array(words, dtype=np.float64)) == Precision("places", 4)
