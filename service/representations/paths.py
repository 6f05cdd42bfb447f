"""Where tables are, for what answers them without a router."""

from __future__ import annotations

TABLES = "/v1/tables"
TABLE = TABLES + "/"
"""What the path of a table begins with; its digest follows, and then what of it is wanted."""
DIGEST = slice(len(TABLE), len(TABLE) + 64)
AFTER_DIGEST = slice(DIGEST.stop, None)
