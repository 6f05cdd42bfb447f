"""Worker processes that compute tables for the server."""
