"""Several processes of one job: how they exchange bytes, prove that they agree, and change tables together."""
