"""Create the tables for named runs, their versions, proposals and progress, and for the feed of changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create `runs`, `run_versions`, `run_proposals`, `run_progress` and `changes`, and list tables by age."""
    key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "runs",
        sa.Column("namespace", key, primary_key=True),
        sa.Column("name", key, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("kind", sa.Text),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("locked", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
        sa.Column("checksum", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("runs_digest", "runs", ["digest"])
    op.create_index("runs_created_at", "runs", ["created_at"])
    op.create_index("tables_created_at", "tables", ["created_at"])
    op.create_table(
        "run_versions",
        sa.Column("namespace", key, primary_key=True),
        sa.Column("name", key, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("total_steps", sa.BigInteger, nullable=False),
        sa.Column("axis", sa.Text, nullable=False),
        sa.Column("stride", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text),
        sa.Column("spec_id", sa.Text),
        sa.Column("spec", sa.Text),
        sa.Column("parent", sa.BigInteger),
        sa.Column("from_step", sa.BigInteger),
        sa.Column("amendment", sa.Text),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("token_id", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("link", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("checksum", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("run_versions_digest", "run_versions", ["digest"])
    op.create_table(
        "run_proposals",
        sa.Column("namespace", key, primary_key=True),
        sa.Column("name", key, primary_key=True),
        sa.Column("proposal", sa.BigInteger, primary_key=True),
        sa.Column("base_version", sa.BigInteger, nullable=False),
        sa.Column("amendment", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("token_id", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("link", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided_at", sa.Double),
        sa.Column("version", sa.BigInteger),
        sa.Column("checksum", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_progress",
        sa.Column("namespace", key, primary_key=True),
        sa.Column("name", key, primary_key=True),
        sa.Column("worker", key, primary_key=True),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("reported_at", sa.Double, nullable=False),
        sa.Column("checksum", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("run_progress_step", "run_progress", ["namespace", "name", "step"])
    op.create_table(
        "changes",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("checksum", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
