"""Specs from files that a training already has, and the proof that each has its original's rates."""
