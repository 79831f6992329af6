"""Activations: the states of a model on a corpus, captured once, kept on disk, read back."""
