"""Connections, their deadlines, and the fast path for what memory holds."""
