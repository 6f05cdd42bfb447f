"""Processes that compute tables for the server."""
