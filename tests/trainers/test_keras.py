"""`client.keras` with real Keras on JAX and on torch, each backend in processes of its own."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.cache.node_cache import NodeCache
from scheduler import Table

SCRIPT = Path(__file__).parent / "keras_run.py"
RATES = [0.1 / (k + 1) for k in range(10)]
TABLE = Table({"lr": RATES})
BACKENDS = ["jax", "torch"]


def run(backend: str, folder: Path, *arguments: str, **environment: str) -> Any:
    """What the script prints in a fresh process."""
    path = os.pathsep.join([str(SCRIPT.parents[2]), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    what, *rest = arguments
    done = subprocess.run(
        [sys.executable, str(SCRIPT), what, str(folder), *rest],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": path, "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def float32(values: Any) -> list[float]:
    return [float(value) for value in np.asarray(values, dtype=np.float64).astype(np.float32)]


@pytest.fixture(scope="module", params=BACKENDS)
def rates(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    found: dict[str, list[float]] = run(request.param, tmp_path_factory.mktemp("keras"), "rates")
    return found


def test_row_k_is_in_force_during_update_k(rates: dict[str, list[float]]) -> None:
    """By hand and in `fit`, each real update has its row rounded once to float32, and past the end the last one."""
    assert rates["plain"] == float32([*RATES, RATES[-1], RATES[-1]])
    assert rates["fit"] == float32(RATES[:6])
    assert rates["numbers"] == float32([*RATES, RATES[-1]])
    assert rates["group"] == float32(RATES[::-1])


def test_accumulation_counts_real_updates_where_it_is_told(rates: dict[str, list[float]]) -> None:
    """Keras asks by micro-batch: told of the accumulation, update k has row k; untold, row k is skipped to 3k + 2."""
    assert rates["accumulated"][2::3] == float32(RATES)
    assert rates["untold"][2::3] == float32(RATES[2:9:3])


def test_samples_and_epochs_are_counted_in_updates(rates: dict[str, list[float]]) -> None:
    """Rows of 6 samples and updates of 4: the rows 0 0 1 2 2 3 4 4 5; an epoch's rate lasts for its updates."""
    assert rates["samples"] == float32([RATES[row] for row in (0, 0, 1, 2, 2, 3, 4, 4, 5)])
    assert rates["epochs"] == float32([RATES[0]] * 3 + [RATES[1]] * 3)


def test_past_the_end_the_tables_policy_holds(rates: dict[str, list[float]]) -> None:
    """`error` gives NaN from the second update past the end; `release` what comes then, counted from the end."""
    assert rates["error"][:11] == float32([*RATES, RATES[-1]])
    assert math.isnan(rates["error"][11])
    assert rates["then"] == float32([*RATES, 1.0, 0.75, 0.5, 0.25, 0.0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_saved_model_names_its_table(backend: str, tmp_path: Path) -> None:
    """The file has the digest and no values; a fresh process finds the table as given or in the cache, and goes on.

    Where it is nowhere, the error names the digest, what the table was, the line to write, and what was asked.
    """
    cache = tmp_path / "cache"
    saved = run(backend, tmp_path, "save")
    config = saved["config"]
    facts = {"axis": "step", "stride": 1, "after": "hold", "total_steps": 10, "name": "warm"}
    assert {name: config[name] for name in ("digest", *facts)} == {"digest": TABLE.digest, **facts}
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        text = file.read("config.json").decode()
    assert TABLE.digest in text
    assert "0.0333" not in text
    assert saved["copy"] == float32(RATES)[4]
    expected = float32(RATES)[3]  # after the 3 batches before it was saved
    offline = {"LRTABLES_OFFLINE": "1", "LRTABLES_CACHE": str(cache)}
    *messages, rate = run(backend, tmp_path, "load", "other", "environment", "table", **offline)
    assert rate == expected
    for message in messages:
        assert message.startswith(
            f"UnknownTableError: the model needs the table {TABLE.digest} (axis step, stride 1, after hold, "
            "total_steps 10), which was not found. Load it inside `with tables_from(table):`"
        )
        assert "Asked: Client(''): offline: " in message
    NodeCache(cache, 2**30).keep(TABLE)
    both = run(backend, tmp_path, "load", "client", "environment", **(offline | {"LRTABLES_OFFLINE": "0"}))
    assert both == [expected] * 2
