"""Messages about schedules: errors, warnings, and descriptions of parameters."""
