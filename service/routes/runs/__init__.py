"""The routes of named runs."""
