"""Migrations of the database's schema, one module each in `versions`, run by `service.database.revisions`."""
