"""The paths of tables and runs, for links to them, and for what finds a table without the router."""

from __future__ import annotations

RUNS = "/v1/runs"
TABLES = "/v1/tables"
TABLE = TABLES + "/"
"""What the path of a table begins with; its digest follows, and then what of it is wanted."""
DIGEST = slice(len(TABLE), len(TABLE) + 64)
AFTER_DIGEST = slice(DIGEST.stop, None)
