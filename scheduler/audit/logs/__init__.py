"""Logs of trainers: reading their files, finding the rates in them, and how exactly they are written."""
