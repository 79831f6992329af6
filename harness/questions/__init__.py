"""What claims ask of a study: one file a section, functions from a study to a measured number."""
