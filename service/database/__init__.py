"""What `service.database.metadata` is made of: connections, schema, rows, revisions, backups."""
