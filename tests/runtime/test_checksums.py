"""Checksums that are remembered: never those of other bytes, and never at the cost of a run."""

import hashlib
import json
import os

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime import checksums


@pytest.fixture(autouse=True)
def memory(tmp_path, monkeypatch):
    monkeypatch.setattr(checksums, "LARGE", 3)
    monkeypatch.setattr(checksums, "SETTLED", -10.0)  # no file of a test is old
    monkeypatch.setenv("LAYERCLAIMS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "checksums.json"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"abc")
    return path


@pytest.fixture
def readings(monkeypatch):
    """The files that were read to their end."""
    read, digest = [], hashlib.file_digest

    def counted(file, name):
        read.append(file.fileno())
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    return read


def sha(content):
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_read_once(file, readings, memory):
    assert [checksums.sha256(file) for _ in range(3)] == [sha(b"abc")] * 3
    assert len(readings) == 1
    link = file.with_name("link")
    link.symlink_to(file)
    assert checksums.sha256(link) == sha(b"abc")
    assert len(readings) == 1
    assert len(json.loads(memory.read_bytes())["files"]) == 1


def test_a_small_file_is_read_every_time(file, readings, memory, monkeypatch):
    monkeypatch.setattr(checksums, "LARGE", 4)
    for _ in range(2):
        checksums.sha256(file)
    assert len(readings) == 2
    assert not memory.exists()


def test_other_bytes_of_the_same_size_and_time_are_read(file):
    before = file.stat()
    checksums.sha256(file)
    file.write_bytes(b"abd")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert checksums.sha256(file) == sha(b"abd")
    other = file.with_name("other")
    other.write_bytes(b"xyz")
    other.replace(file)
    assert checksums.sha256(file) == sha(b"xyz")


def test_a_file_that_has_just_changed_is_not_remembered(file, readings, monkeypatch):
    monkeypatch.setattr(checksums, "SETTLED", 1e9)
    for _ in range(2):
        checksums.sha256(file)
    assert len(readings) == 2


def test_a_file_that_changes_while_it_is_read_is_refused(file, memory, monkeypatch):
    digest = hashlib.file_digest

    def meanwhile(opened, name):
        file.write_bytes(b"abcd")
        return digest(opened, name)

    monkeypatch.setattr(hashlib, "file_digest", meanwhile)
    with pytest.raises(LayerclaimsError, match="changed while it was read"):
        checksums.sha256(file)
    assert not memory.exists()


def test_what_is_no_regular_file_is_refused(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(LayerclaimsError, match="is no regular file"):
            checksums.sha256(path)
    with pytest.raises(FileNotFoundError):
        checksums.sha256(tmp_path / "absent")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff", b"[]", b"3", b"[" * 99_999, b'{"format": 2, "files": {}}', b'{"format": 1, "files": [1]}',
        b'{"format": 1, "files": {"PATH": ["IDENTITY", "00"]}}', b'{"format": 1, "files": {"PATH": [1, 2, 3]}}',
        b'{"format": 1, "files": {"PATH": ["IDENTITY", 7]}}', b'{"format": 1, "files": {"PATH": 7}}',
    ],
)  # fmt: skip
def test_a_memory_that_is_unusable_costs_a_reading(file, memory, content):
    memory.parent.mkdir()
    identity = json.dumps(list(checksums.identity(file.stat()))).encode()
    memory.write_bytes(content.replace(b"PATH", bytes(file)).replace(b'"IDENTITY"', identity))
    assert checksums.sha256(file) == sha(b"abc")
    assert checksums.sha256(file) == sha(b"abc")
    assert json.loads(memory.read_bytes())["files"]


def test_a_directory_that_cannot_be_written_to_costs_a_reading(file, memory):
    memory.parent.write_bytes(b"a file in its place")
    assert checksums.sha256(file) == sha(b"abc")


def test_the_memory_keeps_the_latest_files(tmp_path, memory, monkeypatch):
    monkeypatch.setattr(checksums, "MOST", 2)
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(b"xyz")
        checksums.sha256(path)
    assert list(json.loads(memory.read_bytes())["files"]) == [str(path) for path in paths[1:]]
