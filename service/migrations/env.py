"""What Alembic runs to migrate: on the connection, and in the transaction, of whoever asked for it."""

from __future__ import annotations

from alembic import context


def migrate() -> None:
    """Run the migrations that Alembic has found to be missing."""
    context.configure(connection=context.config.attributes["connection"])
    with context.begin_transaction():
        context.run_migrations()


if __name__ == "env_py":  # the name that Alembic runs this file under; importing the module migrates nothing
    migrate()
