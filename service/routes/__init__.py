"""The routes: each takes typed input, makes one call, and gives one response."""
