"""Files of a model as they are before they are trusted: regular ones only, and JSON of a sane size."""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import brief, byte_size, shown

MOST_JSON: Final = 64 * 10**6  # bytes; the index of the largest models is about 10 MB


def is_file(path: Path) -> bool:
    """Whether there is a regular file; raises LayerclaimsError for what cannot be read like one.

    A pipe or a device would keep whoever opens it waiting for ever.
    """
    status = _status(path)
    if status is None:
        return False
    if not stat.S_ISREG(status.st_mode):
        kind = "directory" if stat.S_ISDIR(status.st_mode) else "pipe, device or socket"
        raise LayerclaimsError(
            f"{shown(path)} is a {kind} where a file is expected; put the model's file there."
        )
    return True


def is_directory(path: Path) -> bool:
    """Whether there is a directory; raises LayerclaimsError where the system does not tell."""
    status = _status(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def names_in(directory: Path) -> list[str]:
    """Names of what a directory holds, sorted; raises LayerclaimsError."""
    try:
        return sorted(path.name for path in directory.iterdir())
    except OSError as error:
        raise LayerclaimsError(f"{shown(directory)} cannot be read: {error.strerror or error}.") from error


def read_json(path: Path) -> Mapping[str, Any]:
    """The object that a JSON file holds; raises LayerclaimsError for anything else."""
    if not is_file(path):
        raise LayerclaimsError(f"{shown(path)} does not exist; the model's files are incomplete.")
    try:
        with path.open("rb") as file:
            text = file.read(MOST_JSON + 1)
        if len(text) > MOST_JSON:
            raise LayerclaimsError(
                f"{shown(path)} has more than {byte_size(MOST_JSON)}, which no file of its kind has; fetch it again."
            )
        content = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise LayerclaimsError(
            f"{shown(path)} cannot be read as JSON ({brief(error)}); fetch it again."
        ) from error
    if not isinstance(content, dict):
        raise LayerclaimsError(f"{shown(path)} is not a JSON object; fetch it again.")
    return content


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (
        OSError,
        ValueError,
    ) as error:  # too long, a loop of links, no permission; a character that cannot be
        why = error.strerror if isinstance(error, OSError) else "it is not a possible path"
        raise LayerclaimsError(f"{shown(path)} cannot be looked at: {why}; check the path.") from error
