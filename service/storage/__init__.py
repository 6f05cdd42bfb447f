"""Object stores: one protocol, implemented by a local directory and by S3-compatible buckets."""
