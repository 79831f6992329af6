"""Files that are whole or absent: atomic writes, checksums, locks."""

import contextlib
import hashlib
import os
import secrets
import stat
import tempfile
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime import progress as screen
from layerclaims.runtime.text import shown

TEMPORARY_SUFFIX = ".tmp"


@contextlib.contextmanager
def steady(path: Path) -> Iterator[BufferedReader]:
    """Open a regular file to be read; raises OSError, and LayerclaimsError for a pipe, a device or a directory, which
    might never end, and when the file has changed by the end.
    """
    # a pipe that nobody writes to would wait in open(); Windows has no such flag, and no such pipes
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        os.close(descriptor)
        raise LayerclaimsError(f"{shown(path)} is no regular file; give a file.")
    with os.fdopen(descriptor, "rb") as file:
        yield file
        if identity(os.fstat(descriptor)) != identity(before):
            raise LayerclaimsError(f"{shown(path)} changed while it was read; wait until it is whole.")


def identity(status: os.stat_result) -> tuple[int, int, int, int, int]:
    """What changes when a file's bytes do: its size in bytes, times of change in ns, inode and device."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_lines(lines: Iterable[str]) -> str:
    """Hexadecimal SHA-256 of lines, each ended by a newline."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def sync_directory(directory: Path) -> None:
    """Make the directory's entries durable where the system can (Windows opens no directories)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_whole(path: Path, *parts: bytes | memoryview, parents: bool = False) -> None:
    """Replace `path` by some bytes, given in parts: a reader sees the old file or the new one, even after a crash.

    Temporary file in the same directory, write, fsync, os.replace, fsync of the directory; parents=True makes a
    directory that is missing. Plain write calls and no memory map: a full disk is then an OSError, here a
    LayerclaimsError, and not a SIGBUS.
    """
    temporary = path.with_name(f".{path.name[:40]}-{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb", buffering=0) as file:
            for part in parts:
                view = memoryview(part)
                while view:  # an unbuffered write may be short: near a full disk, and above 2 GiB
                    view = view[file.write(view) :]
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if not isinstance(error, OSError):  # such as Ctrl-C
            raise
        raise LayerclaimsError(
            f"{shown(path)} could not be written: {error.strerror or error}; free some space or choose another "
            "directory."
        ) from error
    sync_directory(path.parent)


def check_writable(directory: Path, option: str) -> None:
    """Create `directory` and try a file in it; raises LayerclaimsError, which names the option behind it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise LayerclaimsError(
            f"The directory {shown(directory)} cannot be written to: {error.strerror or error}; choose "
            f"another with {option}."
        ) from error


@contextlib.contextmanager
def locked(path: Path, *, notes: bool = True) -> Iterator[None]:
    """Hold a lock of the system, which a killed process gives back by dying; says so when it has to wait."""
    import filelock

    # without fallback_to_soft=False filelock 4 turns to a file's mere existence where flock is missing: a
    # killed process would then block all others for ever
    lock = filelock.FileLock(path, fallback_to_soft=False)
    try:
        try:
            lock.acquire(timeout=1)
        except filelock.Timeout:
            if notes:
                screen.note(f"layerclaims: waiting for another process at work in {path.parent.name}")
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        raise LayerclaimsError(
            f"The directory {shown(path.parent)} cannot be locked ({error}); choose one on another file system "
            "with --cache-dir."
        ) from error
    try:
        yield
    finally:
        lock.release()
