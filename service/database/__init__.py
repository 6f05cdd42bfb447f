"""What `service.metadata` is made of: connections, schema, rows, revisions, backups."""
