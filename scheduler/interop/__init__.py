"""Schedulers of other libraries: captured as tables, and recognised as kinds."""
