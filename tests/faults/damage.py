"""Bytes that change: what can happen to a file between two runs."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

PAGE = 4096


def flip(path: Path, random: Random) -> None:
    """One bit of one byte, near the beginning in half of the cases: there a file says what it is."""
    data = bytearray(path.read_bytes())
    if data:
        end = min(len(data), 256) if random.random() < 0.5 else len(data)
        data[random.randrange(end)] ^= 1 << random.randrange(8)
    path.write_bytes(data)


def truncate(path: Path, random: Random) -> None:
    """Cut off at a boundary: nothing, a byte, a header's length, a page, all but a byte."""
    size = path.stat().st_size
    os.truncate(path, min(size, random.choice((0, 1, 7, 8, 9, PAGE, size // 2, max(0, size - 1)))))


def lengthen(path: Path, random: Random) -> None:
    """Bytes that were not there."""
    path.write_bytes(path.read_bytes() + random.randbytes(random.choice((1, 8, PAGE))))


def delete(path: Path, random: Random) -> None:
    """No file at all."""
    path.unlink()


def zero_page(path: Path, random: Random) -> None:
    """A page that never reached the disk."""
    data = bytearray(path.read_bytes())
    start = random.randrange(0, max(1, len(data)), PAGE)
    data[start : start + PAGE] = bytes(len(data[start : start + PAGE]))
    path.write_bytes(data)


def misplace_page(path: Path, random: Random) -> None:
    """A page that was written to another place."""
    data = bytearray(path.read_bytes())
    pages = range(0, max(1, len(data) - PAGE), 64)
    source, target = random.choice(pages), random.choice(pages)
    data[target : target + PAGE] = data[source : source + PAGE]
    path.write_bytes(data)


def foreign(path: Path, random: Random) -> None:
    """Something else in its place: a directory, a link to itself, a FIFO."""
    path.unlink()
    what = random.randrange(3)
    if what == 0:
        path.mkdir()
    elif what == 1:
        path.symlink_to(path.name)
    else:
        os.mkfifo(path)


KINDS: dict[str, Callable[[Path, Random], None]] = {
    "flip": flip,
    "truncate": truncate,
    "lengthen": lengthen,
    "delete": delete,
    "zeroed page": zero_page,
    "misplaced page": misplace_page,
    "foreign": foreign,
}


def swap(one: Path, other: Path) -> None:
    """Two files or folders under each other's name."""
    aside = one.with_name(one.name + "-aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def replace(path: Path, by: Path) -> None:
    """Another file's or folder's content under this name."""
    if by.is_dir():
        shutil.rmtree(path)
        shutil.copytree(by, path)
    else:
        shutil.copyfile(by, path)
