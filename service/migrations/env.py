"""The script that Alembic runs to migrate, on the connection and in the transaction of its caller."""

from __future__ import annotations

from alembic import context


def migrate() -> None:
    """Run the missing migrations."""
    context.configure(connection=context.config.attributes["connection"])
    with context.begin_transaction():
        context.run_migrations()


if __name__ == "env_py":  # the name under which Alembic runs this file; importing the module migrates nothing
    migrate()
