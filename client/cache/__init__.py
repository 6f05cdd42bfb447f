"""The node cache: tables in files that every process of a machine maps."""
