"""Who may do what, how often, and from which page."""
