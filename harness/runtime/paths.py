"""Where things are kept on this machine, and what their names look like."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import shown

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
        return user_path(named, CACHE_VARIABLE)
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "layerclaims"  # noqa: PTH117


def user_path(given: str | Path, option: str) -> Path:
    """A path as somebody typed it for an option, with ~ spelled out; raises LayerclaimsError for what is none."""
    text = str(given)
    if not text.strip():
        raise LayerclaimsError(f"{option} is empty; name a place, as in {option} here.")
    if "\0" in text:
        raise LayerclaimsError(f"{option} {shown(text)} is not possible: a path holds no NUL character.")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise LayerclaimsError(
            f"{option} {shown(text)} is not possible: the home directory that it names is not known."
        ) from None


def key_name(key: Mapping[str, Any]) -> str:
    """Name of the directory that a key leads to: 32 hexadecimal digits of plain JSON types in any order."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
