"""The golden digests."""

from __future__ import annotations

import json
from pathlib import Path

GOLDEN = Path(__file__).parents[2] / "scheduler" / "golden_digests.json"
"""A list of {"spec", "digest"}: digests of portable tables, pinned for good. A line that changes is a new revision."""

ENTRIES = json.loads(GOLDEN.read_text())
