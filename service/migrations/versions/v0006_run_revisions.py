"""Count the settings of runs, remember which versions' reports count, and what each change has set."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add columns that are empty in every present row, so that no checksum changes."""
    op.add_column("runs", sa.Column("revision", sa.BigInteger))
    op.add_column("runs", sa.Column("branch", sa.BigInteger))
    op.add_column("run_progress", sa.Column("version", sa.BigInteger))
    op.add_column("changes", sa.Column("details", sa.Text))
