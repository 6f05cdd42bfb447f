"""Tasks of an operator besides running the server: checks, verification, backup, restore, garbage collection."""
