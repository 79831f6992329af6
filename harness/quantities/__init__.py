"""Quantities: what claims ask for, a file a section."""
