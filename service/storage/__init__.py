"""Where objects are kept: one contract, and the places that keep it."""
