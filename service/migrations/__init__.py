"""How the database came to its schema, a step in each module of `versions`: run by `service.database.revisions`."""
