"""ASGI middleware that every request passes through before its route."""
