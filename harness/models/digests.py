"""Checksums of a model's files."""

import re
from collections.abc import Sequence
from pathlib import Path

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime import checksums
from layerclaims.runtime.files import sha256_lines
from layerclaims.runtime.text import shown


def of_files(files: Sequence[str], directory: Path) -> str:
    """One checksum of several files of a directory, by name; raises LayerclaimsError."""
    return sha256_lines(f"{file} {of_file(directory / file)}" for file in files)


def of_file(path: Path) -> str:
    """Checksum of a file's bytes, held against the name that the hub's cache gives a large one: its SHA-256.

    Raises LayerclaimsError for a file that cannot be read, and for one that is damaged.
    """
    try:
        digest = checksums.sha256(path)
        blob = path.readlink() if path.is_symlink() else path
    except OSError as error:
        raise LayerclaimsError(f"{shown(path)} cannot be read: {error.strerror or error}.") from error
    if blob.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", blob.name) and blob.name != digest:
        raise LayerclaimsError(
            f"{shown(path.name)} in the hub's local cache is damaged: its bytes are not those of the name "
            f"{shown(blob)}; delete that file and fetch it again."
        )
    return digest
