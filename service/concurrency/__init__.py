"""Threads, turns and memory shared between requests, and work done once for many."""
