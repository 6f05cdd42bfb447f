"""The commands that need no server: show, compare and completion."""
