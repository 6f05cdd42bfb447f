"""Requests over HTTP: one deadline for all of them, retries, connections that are kept open."""
