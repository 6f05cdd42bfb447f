"""The commands that need no server: show and compare."""
