"""What people read about schedules: errors, and what each parameter means."""
