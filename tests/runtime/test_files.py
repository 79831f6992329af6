"""Whole files: what is never replaced, what a link means, and what killed writers left."""

import fcntl
import os
import socket
import subprocess
import sys

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime import files
from layerclaims.runtime.files import read_file, sha256_file, sweep, write_whole

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes, links and locks of POSIX")

LEFT = f".results.json-{'0a' * 8}.tmp"  # as a killed writer of results.json leaves it

KILLED = """
import os, signal, sys
from pathlib import Path
from layerclaims.runtime import files

os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
files.write_whole(Path(sys.argv[1]), b"half of it")
"""


@pytest.fixture
def special(tmp_path):
    """Makes what is there and no regular file."""
    opened = []

    def make(kind):
        path = tmp_path / "it"
        if kind == "a pipe":
            os.mkfifo(path)
        elif kind == "a directory":
            path.mkdir()
        elif kind == "a socket":
            opened.append(socket.socket(socket.AF_UNIX))
            opened[0].bind(str(path))
        elif kind == "a device":
            path.symlink_to("/dev/null")
        return path

    yield make
    for one in opened:
        one.close()


@pytest.mark.parametrize("kind", ["a pipe", "a directory", "a socket", "a device"])
def test_what_is_no_file_is_never_replaced(special, kind):
    path = special(kind)
    before, behind = path.lstat(), path.stat()
    with pytest.raises(LayerclaimsError, match=f"it' is {kind} and no file|null' is {kind} and no file"):
        write_whole(path, b"numbers")
    for one, other in ((path.lstat(), before), (path.stat(), behind)):
        assert (one.st_ino, one.st_mode) == (other.st_ino, other.st_mode)
    assert list(path.parent.iterdir()) == [path]


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    (tmp_path / "disk").mkdir()
    target, link = tmp_path / "disk" / "f", tmp_path / "link"
    link.symlink_to(target)
    for content in (b"first", b"second"):  # the link dangles at first
        write_whole(link, content)
        assert link.readlink() == target
        assert target.read_bytes() == content
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["f"]


def test_links_in_a_circle_are_one_sentence(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(LayerclaimsError, match="could not be written"):
        write_whole(tmp_path / "a", b"")


class TestLeftovers:
    def test_of_a_killed_writer_go_when_its_file_is_written_again(self, tmp_path):
        path = tmp_path / "results.json"
        subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
        (left,) = tmp_path.iterdir()
        assert left.name.endswith(".tmp")
        other = tmp_path / f".other.json-{'0a' * 8}.tmp"
        other.touch()
        write_whole(path, b"whole")
        assert sorted(tmp_path.iterdir()) == sorted([path, other])
        sweep(tmp_path)
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize(
        "name", [".tmp", "x.tmp", ".x.tmp", ".x-12.tmp", LEFT[1:], LEFT.upper(), LEFT + "~", LEFT + "\n"]
    )
    def test_are_named_as_ours_are_to_the_letter(self, tmp_path, name):
        (tmp_path / name).touch()
        sweep(tmp_path)
        assert (tmp_path / name).exists()

    def test_that_are_no_files_stay(self, tmp_path):
        (tmp_path / "mine").touch()
        (tmp_path / LEFT).symlink_to(tmp_path / "mine")
        (tmp_path / LEFT.replace("0a", "0b")).mkdir()
        sweep(tmp_path)
        assert len(list(tmp_path.iterdir())) == 3

    def test_of_a_writer_at_work_stay(self, tmp_path, monkeypatch):
        path, real, during = tmp_path / "results.json", os.fsync, []

        def another(descriptor):
            monkeypatch.setattr(os, "fsync", real)
            sweep(tmp_path)
            write_whole(path, b"quicker")
            during.extend(one.name for one in tmp_path.iterdir() if one != path)
            real(descriptor)

        monkeypatch.setattr(os, "fsync", another)
        write_whole(path, b"slower")
        assert len(during) == 1
        assert path.read_bytes() == b"slower"
        assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_swept_before_its_writer_has_locked_it_is_made_again(tmp_path, monkeypatch):
    lock, swept = fcntl.flock, []

    def late(file, how):
        if not swept:
            swept.extend(tmp_path.glob(".results.json-*"))
            swept[0].unlink()
        lock(file, how)

    monkeypatch.setattr(files.fcntl, "flock", late)
    write_whole(tmp_path / "results.json", b"whole")
    assert swept
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert (tmp_path / "results.json").read_bytes() == b"whole"


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "f"
    write_whole(path, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LayerclaimsError, match="could not be written: No space left on device"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("read", [read_file, sha256_file])
def test_a_pipe_is_an_error_and_no_wait(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        read(tmp_path / "pipe")
