"""HTTP as tables and routes need it: responses, problems, bodies, conditions, ranges. Nothing here knows tables."""
