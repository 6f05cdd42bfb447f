"""The rates that a run really applied, compared with what was planned. No HTTP, no torch."""
