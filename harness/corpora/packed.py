"""Files packed with gzip, unpacked as they are read and no further than texts go."""

import contextlib
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import brief, shown

MOST_UNPACKED: Final = 1_000_000_000  # bytes of a file
MOST_TIMES: Final = 100  # as many bytes as are packed: texts come to 2 to 5 times, alike ones to 20
_SMALL: Final = 16_000_000  # bytes that any file may unpack to


@contextlib.contextmanager
def unpacking(file: BinaryIO, path: Path) -> Iterator[BinaryIO]:
    """What an open gzip file holds, to be read once.

    Raises LayerclaimsError for one that is damaged, and for one that unpacks to more than MOST_UNPACKED bytes or to
    more than texts do: a few kilobytes of it might fill the memory.
    """
    try:
        with (
            gzip.GzipFile(fileobj=file) as packed,
            io.BufferedReader(_Limited(packed, file, path)) as unpacked,
        ):
            yield unpacked
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise LayerclaimsError(
            f"The corpus file {shown(path)} is not a whole gzip file ({brief(error)}); pack it or fetch it again."
        ) from error


class _Limited(io.RawIOBase):
    """What a gzip file holds, up to a number of bytes."""

    def __init__(self, packed: gzip.GzipFile, file: BinaryIO, path: Path) -> None:
        self._packed, self._path = packed, path
        self._size = os.fstat(file.fileno()).st_size
        self._most = min(MOST_UNPACKED, max(_SMALL, MOST_TIMES * self._size))
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        n = self._packed.readinto(buffer)
        self._read += n
        if self._read > self._most:
            raise LayerclaimsError(
                f"The corpus file {shown(self._path)} of {self._size:,} bytes unpacks to more than {self._most:,}; "
                "give a part of it, or unpack it and give that file."
            )
        return n
