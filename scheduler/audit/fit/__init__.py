"""Which schedule a run followed: the kind and the parameters that explain its log best."""
