"""Arithmetic: portable elementary functions, shapes, rates, and cancellation of long computations."""
