"""Folders that a process has to itself for as long as it lives; what killed processes left is removed."""

import contextlib
import os
import shutil
import sys
import tempfile
import weakref
from pathlib import Path

if sys.platform != "win32":
    import fcntl


class OwnFolder:
    """A new folder, held with a lock of the system, which a killed process gives back by dying.

    It is removed with this object, or at the latest when Python ends.
    """

    def __init__(self, parent: Path | None, prefix: str) -> None:
        """Make it in `parent`, or in the system's directory for temporary files. Raises OSError.

        Folders of this prefix that nobody holds are removed first; so no other folders there may have it.
        """
        parent = parent or Path(tempfile.gettempdir())
        parent.mkdir(parents=True, exist_ok=True)
        sweep_folders(parent, prefix)
        self.path, descriptor = _held(parent, prefix)
        self._end = weakref.finalize(self, _remove, self.path, descriptor)

    def remove(self) -> None:
        """Remove it now."""
        self._end()


def sweep_folders(parent: Path, prefix: str) -> None:
    """Remove the folders of a prefix that nobody holds. Nothing is removed where the system has no such locks."""
    if sys.platform == "win32":
        return
    for path in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            # what is a link, or no folder, is not ours
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)


def _held(parent: Path, prefix: str) -> tuple[Path, int | None]:
    """A new folder and what holds it; made again where another process swept it away before it was held."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        if sys.platform == "win32":
            return path, None
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY)
            with contextlib.suppress(OSError):  # without locks nothing is swept either
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return path, descriptor
            os.close(descriptor)


def _remove(path: Path, descriptor: int | None) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if descriptor is not None:
        os.close(descriptor)
