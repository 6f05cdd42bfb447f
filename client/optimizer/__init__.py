"""An optimizer: its parameter groups, hooks and rates, and what of a scheduler is saved."""
