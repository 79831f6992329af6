"""GGUF files that are none, or lie."""

# ruff: noqa: E501  a list is easier to read with one input a line

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.bad_inputs import SELECTION, BadInput
from tests.faults.world import World

STRING, ARRAY, UINT32 = 8, 9, 4


def text(value: bytes, *, length: int | None = None) -> bytes:
    """A string of GGUF, which may say another length."""
    return struct.pack("<Q", len(value) if length is None else length) + value


def head(*, magic: bytes = b"GGUF", version: int = 3, tensors: int = 0, entries: int = 0) -> bytes:
    """What a GGUF file begins with."""
    return magic + struct.pack("<IQQ", version, tensors, entries)


def entry(key: bytes, kind: int, value: bytes) -> bytes:
    """A key and its value."""
    return text(key) + struct.pack("<I", kind) + value


ARCHITECTURE = entry(b"general.architecture", STRING, text(b"llama"))
SOUND = head(entries=1) + ARCHITECTURE
TENSOR = text(b"token_embd.weight") + struct.pack("<IQQIQ", 2, 32, 320, 0, 0)
FILES: dict[str, bytes] = {
    **{f"the first {size} bytes": SOUND[:size] for size in (0, 1, 3, 4, 5, 8, 12, 16, 20, 24, 30, 44, len(SOUND) - 1)},
    "nothing but a head": head(),
    "only an architecture": SOUND,
    "wrong magic": head(magic=b"GGML"),
    "other byte order": b"FUGG" + SOUND[4:],
    **{f"version {version}": head(version=version, entries=1) + ARCHITECTURE for version in (0, 1, 2, 4, 99, 2**32 - 1)},
    "version of the other byte order": b"GGUF" + struct.pack(">I", 3) + SOUND[8:],
    **{f"{count} entries": head(entries=count) + ARCHITECTURE for count in (2, 2**20, 2**31, 2**60, 2**64 - 1)},
    **{f"{count} tensors": head(entries=1, tensors=count) + ARCHITECTURE for count in (1, 2**20, 2**60, 2**64 - 1)},
    **{
        f"a key of {length} bytes": head(entries=1) + text(b"general.architecture", length=length)
        for length in (2**16, 2**31, 2**60, 2**64 - 1)
    },
    **{
        f"a text of {length} bytes": head(entries=1) + entry(b"general.architecture", STRING, text(b"llama", length=length))
        for length in (6, 2**31, 2**60)
    },
    "a kind of value that is none": head(entries=1) + entry(b"general.architecture", 99, b"\0" * 8),
    **{
        f"an array of {count}": head(entries=2)
        + ARCHITECTURE
        + entry(b"tokenizer.ggml.tokens", ARRAY, struct.pack("<IQ", UINT32, count))
        for count in (1, 2**31, 2**60)
    },
    "arrays in arrays": head(entries=1) + entry(b"x", ARRAY, struct.pack("<IQ", ARRAY, 1) * 5000),
    "a key twice": head(entries=2) + ARCHITECTURE * 2,
    "an architecture that is none": head(entries=1) + entry(b"general.architecture", STRING, text(b"no such")),
    "an architecture that is a number": head(entries=1) + entry(b"general.architecture", UINT32, struct.pack("<I", 7)),
    "a text that is not UTF-8": head(entries=1) + entry(b"general.architecture", STRING, text(b"\xff\xfe")),
    "a tensor without data": head(entries=1, tensors=1) + ARCHITECTURE + TENSOR,
    "a tensor of 2**62": head(entries=1, tensors=1) + ARCHITECTURE + text(b"x") + struct.pack("<IQQIQ", 2, 2**31, 2**31, 0, 0),
    "a tensor of 1000 dimensions": head(entries=1, tensors=1) + ARCHITECTURE + text(b"x") + struct.pack("<I", 1000) + b"\1" * 8000,
    "a tensor of an unknown type": head(entries=1, tensors=1) + ARCHITECTURE + text(b"x") + struct.pack("<IQIQ", 1, 32, 999, 0) + b"\0" * 256,
    "split in several": head(entries=3) + ARCHITECTURE + entry(b"split.count", 2, struct.pack("<H", 5)) + entry(b"split.no", 2, struct.pack("<H", 0)),
    "zeros": bytes(4096),
    "random": bytes((n * 89 + 17) % 256 for n in range(4096)),
}  # fmt: skip


def inputs() -> Iterator[BadInput]:
    """All of them."""
    for name, content in FILES.items():

        def make(world: World, place: Path, content: bytes = content) -> Callable[[], int]:
            (place / "model.gguf").write_bytes(content)
            return world.pytest(SELECTION, place, model=place / "model.gguf")

        yield BadInput(kind="GGUF", name=name, make=make)
