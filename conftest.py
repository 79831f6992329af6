"""Lets a checkout that is not installed be used like one that is: `pytest claims/` loads the plugin from here."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parent
# harness/ is the package layerclaims; claims/ and templates/ lie beside it and are subpackages of it
FOLDERS = {
    "layerclaims": ROOT / "harness",
    "layerclaims.claims": ROOT / "claims",
    "layerclaims.templates": ROOT / "templates",
}

if importlib.util.find_spec("layerclaims") is None:
    for name, folder in FOLDERS.items():
        spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    pytest_plugins = ["layerclaims.plugin.hooks"]
