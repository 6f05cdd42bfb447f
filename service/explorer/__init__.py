"""The explorer: the page at `/` that shows, compares and proves schedules, as files without a build."""
