"""What a table is in HTTP: its addresses, formats, manifest and responses, and the body that brings one."""
