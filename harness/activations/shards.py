"""Shards: states as safetensors files, each with its checksum beside it."""

import contextlib
import hashlib
import json
import re
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from layerclaims.activations.plan import Plan
from layerclaims.errors import DamagedStatesError, LayerclaimsError
from layerclaims.runtime.dtypes import DTYPES
from layerclaims.runtime.files import read_file, regular, sha256_file, write_parts, write_whole
from layerclaims.runtime.text import inert, shown
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def write_shard(
    directory: Path,
    number: int,
    states: "Iterable[Tensor]",
    name: str,
    plan: Plan,
    key: str,
    about: Mapping[str, Any],
) -> "Shard":
    """Write a shard of the store `key`, then its checksum beside it, in the form that `sha256sum --check` reads.

    The states, each [documents of the shard, positions, hidden], are written and hashed as they come, so that the next
    one may still be in the making. What is said `about` the model and the machine stands there as a comment, which
    that program passes over: the shard itself holds nothing of it, so that equal states have equal checksums wherever
    they were made.
    """
    path = directory / shard_name(number)
    shape = (plan.n_states, len(plan.shards[number]), plan.n_positions, plan.hidden_size)
    header = shard_header(plan.dtype, shape, place=shard_place(key, path.name))
    checksum = hashlib.sha256()

    def parts() -> Iterator[bytes | memoryview]:
        checksum.update(header)
        yield header
        for part in _bytes(states, name, plan.dtype):
            checksum.update(part)
            yield part

    write_parts(path, parts())
    comment = json.dumps({**about, "sha256": _sha256_of(about)}, sort_keys=True)
    write_whole(
        path.with_suffix(".sha256"), f"# {comment}\n{checksum.hexdigest()}  {path.name}\n".encode("ascii")
    )
    size = path.stat().st_size
    return Shard(record=_as_record(path.name, checksum.hexdigest(), size, number, plan), about=about)


def _bytes(states: "Iterable[Tensor]", name: str, dtype: str) -> Iterator[memoryview]:
    """Each state as it lies in memory, once it was looked at."""
    import torch

    for i, state in enumerate(states):
        check_finite(state[None], name, dtype, first=i)
        yield state.flatten().view(torch.uint8).numpy().data


@dataclass(frozen=True, kw_only=True)
class Shard:
    """What is known of a shard that lies on disk."""

    record: Mapping[str, Any]  # as the manifest has it
    about: Mapping[
        str, Any
    ]  # the model's facts, and with what it was made; empty where the file does not say


def read_shard(directory: Path, number: int, plan: Plan, key: str) -> Shard | None:
    """A shard of the store `key` if it is there, whole and undamaged.

    The shard's bytes are read again (2 GB/s, a hundred times faster than the model) and compared with the
    checksum written after it: whatever happened to the disk since, only sound shards are kept. Another store's
    shard, or another one of this store, says so itself and is not kept either.
    """
    path = directory / shard_name(number)
    try:
        *comment, line = read_file(path.with_suffix(".sha256")).decode("ascii").splitlines()
        digest, name = line.split()
        if name != path.name or not re.fullmatch("[0-9a-f]{64}", digest):
            return None
        about = json.loads(comment[0].removeprefix("#")) if comment else {}
        if about and about.pop("sha256") != _sha256_of(about):
            return None
        record = _as_record(path.name, digest, path.stat().st_size, number, plan)
        return None if damage(path, record, key) else Shard(record=record, about=about)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _sha256_of(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(about), sort_keys=True).encode()).hexdigest()


def damage(path: Path, record: Mapping[str, Any], key: str) -> str:
    """What is wrong with the file of a shard by its record in the store `key`, after reading every byte; "" if nothing.

    What can be told is that the file is missing, that it is another shard's, and that its bytes are not those written.
    """
    try:
        place, wanted = _read_header(path)[1].get("__metadata__", {}).get(PLACE), shard_place(key, path.name)
        if place != wanted and isinstance(place, str):
            return f"it is {inert(place)}, which belongs elsewhere"
        if place == wanted and sha256_file(path) == record["sha256"]:
            return ""
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    except (ValueError, AttributeError, struct.error, RecursionError):
        pass
    return "its bytes are not those that were written"


TICK: Final = 100_000_000  # nanoseconds; clocks of file systems are finer
_sound: set[tuple[object, ...]] = set()  # files that were hashed in this process, as they were then


def check_shard(path: Path, record: Mapping[str, Any], key: str) -> None:
    """Raise DamagedStatesError unless a shard's bytes are those that were written, read once in a process.

    A file is read again when it is another one by its inode, size or times: studies that share a store share the
    check, and what is written over in between is not missed. One that was just written is not remembered, since the
    clock of a file system may not tell it from what is written next.
    """
    now = time.time_ns()
    with contextlib.suppress(FileNotFoundError):
        about = path.stat()
        seen = (
            about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns, record["sha256"],
            key, path.name,
        )  # fmt: skip
        if seen in _sound:
            return
    if why := damage(path, record, key):
        raise DamagedStatesError(f"{shown(path)} is damaged: {why}; capture again.", path.parent)
    if now - max(about.st_mtime_ns, about.st_ctime_ns) > TICK:
        _sound.add(seen)


def _as_record(name: str, digest: str, size: int, number: int, plan: Plan) -> dict[str, Any]:
    return {"name": name, "sha256": digest, "bytes": size, "documents": len(plan.shards[number])}


def check_finite(states: "Tensor", name: str, dtype: str, *, first: int = 0) -> None:
    """Raise LayerclaimsError for states [n_states, ...], from state `first` on, that hold NaN or infinity.

    It names the first such state.
    """
    import torch

    low, high = torch.aminmax(states)  # NaN passes through; no array of flags is made
    if not (torch.isfinite(low) and torch.isfinite(high)):
        index = next(i for i, state in enumerate(states, first) if not bool(torch.isfinite(state).all()))
        hint = (
            "the weights are damaged or the model needs another dtype"
            if dtype == "float32"
            else f"{dtype} cannot hold it: use --dtype float32{' or bfloat16' if dtype == 'float16' else ''}"
        )
        raise LayerclaimsError(f"State {index} of {shown(name)} has values that are not finite; {hint}.")


TENSOR: Final = "states"
PLACE: Final = "belongs to"  # one entry of metadata alone: the library writes several in any order


def shard_name(number: int) -> str:
    """File name of a shard, from 0."""
    return f"shard-{number:05d}.safetensors"


def shard_place(key: str, name: str) -> str:
    """What a shard says of itself: the store and the file that it belongs to."""
    return f"states/{key}/{name}"


def shard_header(dtype: str, shape: tuple[int, ...], *, place: str) -> bytes:
    """What a safetensors file of one tensor begins with; the data follow, in storage order.

    Byte for byte what the library writes for `save({TENSOR: states}, metadata={PLACE: place})`, which would copy the
    data twice. data_offset explains the form. The checksum covers the place: a shard in another's stead is seen.
    """
    size = int(np.prod(shape)) * DTYPES[dtype].size
    content = {
        "__metadata__": {PLACE: place},
        TENSOR: {"dtype": DTYPES[dtype].code, "shape": shape, "data_offsets": [0, size]},
    }
    header = json.dumps(content, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header


def data_offset(path: Path, code: str, shape: tuple[int, ...]) -> int:
    """Where a shard's one tensor begins, after checking its header; raises DamagedStatesError.

    A safetensors file is the header's length (8 bytes, little endian), the header (JSON), the data. It is
    read by hand since the library has no bfloat16 for numpy and maps no part of a tensor without torch.
    """
    try:
        length, header = _read_header(path)
        tensor = header[TENSOR]
        start, stop = tensor["data_offsets"]
        if (
            tensor["dtype"] == code
            and tuple(tensor["shape"]) == shape
            and start == 0
            and 8 + length + stop == path.stat().st_size
        ):
            return 8 + length
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise DamagedStatesError(
            f"{shown(path)} is missing or damaged; capture again.", path.parent
        ) from error
    raise DamagedStatesError(
        f"{shown(path)} does not hold what its manifest says; capture again.", path.parent
    )


def _read_header(path: Path) -> tuple[int, dict[str, Any]]:
    with regular(path) as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(min(length, 1 << 20)))
    if not isinstance(header, dict):
        raise ValueError("no header")
    return int(length), header


def upcast(values: NDArray[Any]) -> NDArray[np.float32]:
    """Values of a shard as float32: a view where they are that already."""
    if values.dtype == np.uint16:  # bfloat16 is the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(values, dtype=np.float32)
