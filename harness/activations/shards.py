"""Shards: states as safetensors files, each with its checksum beside it."""

import hashlib
import json
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from layerclaims.activations.plan import Plan
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.dtypes import DTYPES
from layerclaims.runtime.files import sha256_file, write_whole
from layerclaims.runtime.text import shown
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def write_shard(directory: Path, number: int, states: "Tensor", name: str, plan: Plan) -> dict[str, Any]:
    """Write a shard, then its checksum beside it, in the form that `sha256sum --check` reads."""
    import torch

    check_finite(states, name, plan.dtype)
    header = shard_header(plan.dtype, states.shape)
    data = states.flatten().view(torch.uint8).numpy().data
    path = directory / shard_name(number)
    checksum = hashlib.sha256(header)
    checksum.update(data)
    write_whole(path, header, data)
    write_whole(path.with_suffix(".sha256"), f"{checksum.hexdigest()}  {path.name}\n".encode())
    return _as_record(path.name, checksum.hexdigest(), len(header) + len(data), number, plan)


def shard_record(directory: Path, number: int, plan: Plan) -> dict[str, Any] | None:
    """What the manifest says of a shard if it is there, whole and undamaged.

    The shard's bytes are read again (2 GB/s, a hundred times faster than the model) and compared with the
    checksum written after it: whatever happened to the disk since, only sound shards are kept.
    """
    path = directory / shard_name(number)
    try:
        digest, name = path.with_suffix(".sha256").read_text("ascii").split()
        if name != path.name or not re.fullmatch("[0-9a-f]{64}", digest) or sha256_file(path) != digest:
            return None
    except (OSError, ValueError):
        return None
    return _as_record(path.name, digest, path.stat().st_size, number, plan)


def _as_record(name: str, digest: str, size: int, number: int, plan: Plan) -> dict[str, Any]:
    return {"name": name, "sha256": digest, "bytes": size, "documents": len(plan.shards[number])}


def check_finite(states: "Tensor", name: str, dtype: str) -> None:
    """Raise LayerclaimsError for states [n_states, ...] that hold NaN or infinity, with the first such state."""
    import torch

    low, high = torch.aminmax(states)  # NaN passes through; no array of flags is made
    if not (torch.isfinite(low) and torch.isfinite(high)):
        index = next(i for i, state in enumerate(states) if not bool(torch.isfinite(state).all()))
        hint = (
            "the weights are damaged or the model needs another dtype"
            if dtype == "float32"
            else f"{dtype} cannot hold it: use --dtype float32{' or bfloat16' if dtype == 'float16' else ''}"
        )
        raise LayerclaimsError(f"State {index} of {shown(name)} has values that are not finite; {hint}.")


TENSOR: Final = "states"


def shard_name(number: int) -> str:
    """File name of a shard, from 0."""
    return f"shard-{number:05d}.safetensors"


def shard_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """What a safetensors file of one tensor begins with; the data follow, in storage order.

    Byte for byte the library's, which would copy the data twice. data_offset explains the form.
    """
    size = int(np.prod(shape)) * DTYPES[dtype].size
    content = {TENSOR: {"dtype": DTYPES[dtype].code, "shape": shape, "data_offsets": [0, size]}}
    header = json.dumps(content, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header


def data_offset(path: Path, code: str, shape: tuple[int, ...]) -> int:
    """Where a shard's one tensor begins, after checking its header; raises LayerclaimsError.

    A safetensors file is the header's length (8 bytes, little endian), the header (JSON), the data. It is
    read by hand since the library has no bfloat16 for numpy and maps no part of a tensor without torch.
    """
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, 1 << 20)))
        tensor = header[TENSOR]
        start, stop = tensor["data_offsets"]
        if (
            tensor["dtype"] == code
            and tuple(tensor["shape"]) == shape
            and start == 0
            and 8 + length + stop == path.stat().st_size
        ):
            return int(8 + length)
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise LayerclaimsError(f"{shown(path)} is missing or damaged; capture again.") from error
    raise LayerclaimsError(f"{shown(path)} does not hold what its manifest says; capture again.")


def upcast(values: NDArray[Any]) -> NDArray[np.float32]:
    """Values of a shard as float32: a view where they are that already."""
    if values.dtype == np.uint16:  # bfloat16 is the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(values, dtype=np.float32)
