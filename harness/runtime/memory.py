"""Where large matrices live: in memory, or in a file without a name where they would not fit."""

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import byte_size, shown
from numpy.typing import NDArray

UNITS: Final = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
LEAST: Final = 100 * 10**6  # bytes: below it even a block of rows and its fit have no room


@dataclass(frozen=True, kw_only=True)
class Memory:
    """How large a matrix may be in memory, and the directory for those that are larger."""

    limit: int  # bytes of one matrix
    directory: Path

    def empty(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """An uninitialised float32 matrix, C-contiguous; mapped from a file where it exceeds the limit.

        The file is gone when the matrix is. Its blocks are allotted before it is mapped: a full disk is a sentence
        then, and not a SIGBUS later. Raises LayerclaimsError.
        """
        size = int(np.prod(shape)) * 4
        if size <= self.limit:
            return np.empty(shape, dtype=np.float32)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.directory) as file:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)
                else:
                    file.truncate(size)
                return np.memmap(file, dtype=np.float32, mode="r+", shape=shape)
        except OSError as error:
            raise LayerclaimsError(
                f"A matrix of {byte_size(size)} exceeds --memory and could not be kept in {shown(self.directory)}: "
                f"{error.strerror or error}; make room there, choose another disk with --cache-dir, or raise --memory."
            ) from error


def automatic() -> int:
    """Half of the machine's memory in bytes; without a limit where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return 2**62


def parse(text: str) -> int:
    """Bytes of "auto", "800MB" or "1.5 GB"; raises LayerclaimsError."""
    if text == "auto":
        return automatic()
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?) ?(MB|GB|TB)", text, re.IGNORECASE | re.ASCII)
    size = int(float(match[1]) * UNITS[match[2].upper()]) if match else 0
    if size < LEAST:
        raise LayerclaimsError(
            f"--memory {shown(text)} is not possible: give auto, or {LEAST // 10**6} MB or more, as in 800MB or 4GB."
        )
    return size


def exhausted(error: BaseException) -> str:
    """A sentence on what to do where an exception says that memory ran out, the device's too; empty for any other."""
    said = str(error).lower()
    host = isinstance(error, MemoryError) or "can't allocate memory" in said
    if host or type(error).__name__ == "OutOfMemoryError" or "out of memory" in said:
        where = "Memory" if host else "The device's memory"
        return (
            f"{where} ran out; lower --memory (larger matrices then lie in files), --batch-size or --n-texts, choose "
            "a smaller --dtype, or another --device."
        )
    return ""
