"""Tables and schedules as people see them: summaries, differences, charts and plots."""
