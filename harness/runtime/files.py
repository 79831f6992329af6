"""Files that are whole or absent: atomic writes, checksums, locks."""

import contextlib
import hashlib
import io
import os
import re
import secrets
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime import progress as screen
from layerclaims.runtime.text import shown

if sys.platform != "win32":
    import fcntl

TEMPORARY_SUFFIX: Final = ".tmp"
_TEMPORARY: Final = re.compile(
    rf"\.(?P<target>.{{1,40}})-[0-9a-f]{{16}}{re.escape(TEMPORARY_SUFFIX)}", re.DOTALL
)


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
    """Hexadecimal SHA-256 of a regular file's bytes; raises OSError, also for anything else by that name."""
    with regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_file(path: Path) -> bytes:
    """The bytes of a regular file; raises OSError, also for a pipe or a device, which might never end."""
    with regular(path) as file:
        return file.read()


@contextlib.contextmanager
def regular(path: Path) -> Iterator[BufferedReader]:
    """Open as `steady` does, with an OSError for anything that is wrong."""
    try:
        with steady(path) as file:
            yield file
    except LayerclaimsError as error:
        raise OSError(str(error)) from error


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
    directory that is missing. What killed writers of the same file left beside it is removed. A link stays, and what
    it points to is replaced. Raises LayerclaimsError for what is there and no regular file, such as a device, and
    where the bytes find no room: plain write calls and no memory map, so that a full disk is no SIGBUS.
    """
    write_parts(path, parts, parents=parents)


def write_parts(path: Path, parts: Iterable[bytes | memoryview], *, parents: bool = False) -> None:
    """As `write_whole`, with parts that may still be in the making; where making one raises, the old file stays."""
    try:
        path = path.resolve() if path.is_symlink() else path
        _refuse_special(path)
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, path.name)
        with _temporary(path) as (file, temporary):
            for part in parts:
                view = memoryview(part)
                while view:  # an unbuffered write may be short: near a full disk, and above 2 GiB
                    view = view[file.write(view) :]
            os.fsync(file.fileno())
            if sys.platform == "win32":  # where no open file can be renamed
                file.close()
            temporary.replace(path)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, up to Python 3.12
        raise LayerclaimsError(
            f"{shown(path)} could not be written: {getattr(error, 'strerror', None) or error}; free some space or "
            "choose another directory."
        ) from error
    sync_directory(path.parent)


def _refuse_special(path: Path) -> None:
    """Raise LayerclaimsError for a device, a pipe, a socket or a directory, which a file must not take the place of."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        kinds = {
            stat.S_ISDIR: "a directory", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket",
            stat.S_ISCHR: "a device", stat.S_ISBLK: "a device",
        }  # fmt: skip
        kind = next((name for test, name in kinds.items() if test(mode)), "something else")
        raise LayerclaimsError(
            f"{shown(path)} is {kind} and no file, and is left as it is; choose another name."
        )


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[tuple[io.FileIO, Path]]:
    """An empty file beside `path` that is gone at the end unless it was renamed, held locked meanwhile."""
    file, temporary = _opened(path)
    with file:
        try:
            yield file, temporary
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()


def _opened(path: Path) -> tuple[io.FileIO, Path]:
    """A new temporary file, locked; made again where another process swept it away before it was locked."""
    while True:
        temporary = path.with_name(f".{path.name[:40]}-{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
        file = io.FileIO(temporary, "x")
        if sys.platform == "win32":
            return file, temporary
        with contextlib.suppress(OSError):  # without locks nothing is swept either
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file, temporary
        file.close()


def sweep(directory: Path, name: str | None = None) -> None:
    """Remove the temporary files that killed writers left in `directory`: those of one file, or all.

    A writer holds its temporary file locked, and a killed one gives the lock back by dying: what is locked is left
    alone. Nothing is removed that is not named as `write_whole` names it, nor where the system has no such locks.
    """
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        for entry in os.scandir(directory):
            match = _TEMPORARY.fullmatch(entry.name)
            regular = entry.is_file(follow_symlinks=False)
            if regular and match and (name is None or match["target"] == name[:40]):
                with contextlib.suppress(OSError), Path(entry.path).open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    Path(entry.path).unlink()


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

    lock = _lock(path)
    with _lockable(path):
        try:
            lock.acquire(timeout=1)
        except filelock.Timeout:
            if notes:
                say_waiting(path.parent)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def if_free(path: Path) -> Iterator[bool]:
    """Hold a lock as `locked` does, unless another process holds it: then go on at once, with False."""
    import filelock

    lock = _lock(path)
    with _lockable(path), contextlib.suppress(filelock.Timeout):
        lock.acquire(timeout=0)
    try:
        yield lock.is_locked
    finally:
        lock.release()


def _lock(path: Path) -> Any:
    """A lock of filelock.

    Without fallback_to_soft=False filelock 4 turns to a file's mere existence where flock is missing: a killed
    process would then block all others for ever.
    """
    import filelock

    return filelock.FileLock(path, fallback_to_soft=False)


@contextlib.contextmanager
def _lockable(path: Path) -> Iterator[None]:
    """Make of a directory that cannot be locked one sentence."""
    try:
        yield
    except (OSError, NotImplementedError) as error:
        raise LayerclaimsError(
            f"The directory {shown(path.parent)} cannot be locked ({error}); choose one on another file system "
            "with --cache-dir."
        ) from error


def say_waiting(directory: Path) -> None:
    """Say, once a run, that another process makes what is in a directory."""
    screen.note(f"layerclaims: waiting for another process at work in {directory.name}", once=str(directory))


def pauses(first: float = 0.05, longest: float = 1.0) -> Iterator[float]:
    """Sleep before each look at what another process makes, a little longer each time; the seconds slept so far.

    Locks of several files cannot be waited for at once, so a process that waits looks now and then.
    """
    slept, next_one = 0.0, first
    while True:
        time.sleep(next_one)
        slept += next_one
        next_one = min(longest, next_one * 1.5)
        yield slept


@contextlib.contextmanager
def folder_held(directory: Path) -> Iterator[None]:
    """Hold a folder against other processes that ask for it the same way, and leave no file there.

    A killed process gives it back by dying. Where the system knows no such locks, or another process does not let go
    for ten seconds, nothing is held.
    """
    descriptor = None
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            descriptor = os.open(directory, os.O_RDONLY)
            for _ in range(100):
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.1)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock on what is about to be computed and kept beside it; where nothing can be kept, go on without."""
    try:
        check_writable(path.parent, "--cache-dir")
    except LayerclaimsError as error:
        say_unkept(str(error))
        yield
        return
    with locked(path):
        yield


def say_unkept(why: str) -> None:
    """Say, once a run, that numbers are used but not kept."""
    screen.note(
        f"layerclaims: what is measured is used, but not kept for the next run: {why}", once="not kept"
    )
