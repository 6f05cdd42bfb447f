"""Pictures of tables over HTTP."""
