"""Templates, style sheets, script and fonts of the report, read through importlib.resources."""
