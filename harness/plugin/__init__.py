"""The pytest plugin: options, the session and its verdicts."""
