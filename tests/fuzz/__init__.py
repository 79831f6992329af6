"""Hypothesis against everything that reads a file: a sentence or what the file says, and nothing else."""
