"""Checksums of large files, remembered by what changes when a file does: they are read once."""

import contextlib
import hashlib
import json
import os
import re
import time
from pathlib import Path
from typing import Any, Final

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.files import identity, locked, steady, write_whole
from layerclaims.runtime.paths import default_cache_dir

LARGE: Final = 16_000_000  # bytes from which on a checksum is remembered: less takes 10 ms to read
# seconds since a file's last change before its checksum is remembered: the clocks of file systems tick as slowly as
# every two seconds, and a file that changes twice in one tick keeps its time
SETTLED: Final = 2.0
MOST: Final = 500  # files that are remembered, those of the last days or years
FORMAT: Final = 1

Entry = tuple[list[int], str]  # identity and SHA-256 of a file


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a regular file's bytes, read or remembered from an earlier reading.

    Remembered by real path, size, times of change, inode and device, in `checksums.json` of the cache directory. Raises
    OSError, and LayerclaimsError for what is no regular file or changes while it is read.
    """
    real = path.resolve(strict=True)
    status = real.stat()
    memory = default_cache_dir() / "checksums.json"
    if status.st_size >= LARGE:
        known = _read(memory).get(str(real))
        if known is not None and known[0] == list(identity(status)):
            return known[1]
    with steady(real) as file:
        read = os.fstat(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        settled = time.time() - max(read.st_mtime, read.st_ctime) >= SETTLED
    if read.st_size >= LARGE and settled:
        _remember(memory, str(real), (list(identity(read)), digest))
    return digest


def _remember(memory: Path, real: str, entry: Entry) -> None:
    """Write an entry down; a directory that cannot be written to costs another reading, and no more."""
    with contextlib.suppress(LayerclaimsError, OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        with locked(memory.with_suffix(".lock"), notes=False):
            known = _read(memory)
            known.pop(real, None)  # the latest stand last
            kept = dict([*known.items(), (real, entry)][-MOST:])
            write_whole(memory, json.dumps({"format": FORMAT, "files": kept}, indent=0).encode())


def _read(memory: Path) -> dict[str, Entry]:
    """Entries by real path; none of them where the file is absent or not as `_remember` writes it."""
    try:
        with steady(memory) as file:
            content = json.loads(file.read(MOST * 10_000))
        if content["format"] != FORMAT:
            return {}
        return {str(path): _entry(entry) for path, entry in content["files"].items()}
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError, LayerclaimsError):
        return {}


def _entry(entry: Any) -> Entry:
    """An entry as it was written; raises ValueError or TypeError for any other."""
    numbers, digest = entry
    if not (
        isinstance(numbers, list)
        and all(type(number) is int for number in numbers)
        and re.fullmatch("[0-9a-f]{64}", digest)
    ):
        raise ValueError
    return numbers, digest
