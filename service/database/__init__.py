"""The metadata in a database: checked rows, one module per aggregate, revisions, backups."""
