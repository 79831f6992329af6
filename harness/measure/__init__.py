"""Measurements: pure functions from arrays to numbers, one file a section of the post."""
