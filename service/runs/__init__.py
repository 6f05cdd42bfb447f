"""Named runs: versions, amendments and proposals, and the feed of their changes."""
