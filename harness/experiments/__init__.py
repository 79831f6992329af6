"""Experiments: what is measured, what it needs, and the study that measures it once."""
