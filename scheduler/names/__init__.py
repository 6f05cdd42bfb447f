"""The names of schedules as people type them: in any case, by alias, or of something that is no schedule."""
