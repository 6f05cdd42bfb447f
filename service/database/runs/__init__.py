"""Named runs in the database: heads, versions, proposals and progress."""
