"""What an operator runs beside the server: checks, verification, backup, restore, garbage collection."""
