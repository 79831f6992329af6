"""Where things are kept on this machine, and what their names look like."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

Kind = Literal["states", "measurements"]
KINDS: Final[tuple[Kind, ...]] = ("states", "measurements")
KEY: Final = re.compile("[0-9a-f]{32}")
CACHE_VARIABLE: Final = "LAYERCLAIMS_CACHE"  # of the environment
MANIFEST: Final = "manifest.json"  # of a store of states


def default_cache_dir() -> Path:
    """`$LAYERCLAIMS_CACHE`, else `$XDG_CACHE_HOME/layerclaims`, else `~/.cache/layerclaims`.

    An XDG_CACHE_HOME that is empty or relative counts as unset, as the base directory specification says. The
    directory need not exist.
    """
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "layerclaims"  # noqa: PTH117


def key_name(key: Mapping[str, Any]) -> str:
    """Name of the directory that a key leads to: 32 hexadecimal digits of plain JSON types in any order."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
