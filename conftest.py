"""Loads the plugin for a checkout; an installed layerclaims loads it by its entry point."""

import importlib.metadata

# the installed distribution registers harness.plugin itself, and one module must not be registered twice
if not any(ep.value == "harness.plugin" for ep in importlib.metadata.entry_points(group="pytest11")):
    pytest_plugins = ["harness.plugin"]
