"""Executors, and limits on the work and the memory of concurrent requests."""
