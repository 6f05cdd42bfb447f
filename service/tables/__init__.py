"""Tables: computed, cached, stored and read. This package does not depend on HTTP."""
