"""Probing: classifiers that tell a vector's layer, and how well they were fitted."""
