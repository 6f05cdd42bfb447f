"""Tables: computed, cached, stored and read. Nothing here knows HTTP."""
