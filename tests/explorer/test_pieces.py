"""Stored tables as they arrive in the page, and those that it does not take."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np

from scheduler import Table
from tests.support.node import node

TABLE = Table({"lr.0": np.linspace(0.1, 0.0, 60), "lr.1": np.full(60, 1e-300), "momentum": np.linspace(0.9, 0.8, 60)})


def test_a_table_is_read_in_pieces_and_a_large_one_is_refused() -> None:
    """Pieces of any length make the same columns, one that is cut short is an error; limits are said in numbers."""
    script, file = Path(__file__).with_name("pieces.mjs"), b"".join(TABLE.parts())
    done = subprocess.run([str(node()), str(script)], input=file, capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert found["whole"] == {name: values.tolist() for name, values in TABLE.columns.items()}
    assert found["differing"] == []
    assert found["faults"] == [
        *["the table ended in its header"] * 3,
        f"the table ended after {len(file) - 1} of {len(file)} bytes",
    ]
    assert found["refused"] == [
        None,
        "total_steps must be at most 20,000,000 here, got 21,000,000",
        "the page shows at most 40,000,000 values, got 5 columns of 10,000,000",
        None,
        "the page holds at most 80,000,000 values of all curves together, got 80,000,001",
    ]
