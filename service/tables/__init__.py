"""Tables and manifests: computed, cached, stored and read. Nothing here knows HTTP."""
