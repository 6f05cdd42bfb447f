"""Twins of other libraries' schedules, one module per library: their names, their parameters, their bits."""
