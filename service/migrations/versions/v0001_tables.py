"""Create the tables for learning-rate tables and for the specs that they were computed from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create `tables` and `specs`."""
    key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "tables",
        sa.Column("digest", key, primary_key=True),
        sa.Column("nbytes", sa.BigInteger, nullable=False),
        sa.Column("origin", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("checksum", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "specs",
        sa.Column("spec_id", key, primary_key=True),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("checksum", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
