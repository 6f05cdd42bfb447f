"""Authentication, authorization, rate limits, and protection against DNS rebinding."""
