"""States on disk: shards, manifest and checksums; reading maps one shard at a time."""

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from harness.errors import LayerclaimsError
from harness.files import sha256_file, shown, write_whole
from harness.models import ModelFacts

SCHEMA_VERSION: Final = 1
MANIFEST: Final = "manifest.json"
TENSOR: Final = "states"
# name -> (name in a safetensors header, how numpy reads it; it has no bfloat16 and takes the bits)
DTYPES: Final = {"float32": ("F32", "<f4"), "bfloat16": ("BF16", "<u2"), "float16": ("F16", "<f2")}


def shard_name(number: int) -> str:
    """File name of a shard, from 0."""
    return f"shard-{number:05d}.safetensors"


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(
        {k: v for k, v in content.items() if k != "sha256"}, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()


def write_manifest(directory: Path, content: Mapping[str, Any]) -> None:
    """Commit a store: the manifest comes last, and carries a checksum of itself."""
    text = json.dumps({**content, "sha256": _digest(content)}, separators=(",", ":"), allow_nan=False)
    write_whole(directory / MANIFEST, text.encode() + b"\n")


class ActivationStore:
    """The states of one model on the documents of one corpus.

    State 0 is the embedding output, state i (1..L) the raw residual stream after block i, state `final` = L+1
    the output of the final norm. Nothing is kept in memory between calls.
    """

    def __init__(self, directory: Path, manifest: Mapping[str, Any]) -> None:
        """Use ActivationStore.open."""
        self.directory, self.manifest = directory, manifest
        self.n_states, self.n_documents, self.n_positions, self.hidden_size = (
            int(n) for n in manifest["shape"]
        )
        self.n_blocks = self.n_states - 2
        self.final = self.n_blocks + 1
        self.facts = ModelFacts(**{f.name: manifest["model"][f.name] for f in fields(ModelFacts)})
        self.token_ids: NDArray[np.int64] = np.array(manifest["token_ids"], dtype=np.int64)
        self.document_ids: tuple[int, ...] = tuple(manifest["document_ids"])
        self._code, self._numpy = DTYPES[manifest["dtype"]]

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open a finished store; checks the manifest's checksum and that every shard has its size.

        Raises LayerclaimsError when there is none, or it is damaged. Reading all bytes is left to verify().
        """
        path = directory / MANIFEST
        try:
            manifest = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise LayerclaimsError(
                f"There is no finished store of states in {shown(directory)}; capture it first."
            ) from error
        except (OSError, ValueError) as error:
            raise LayerclaimsError(f"{shown(path)} is damaged; delete it to capture again.") from error
        if not isinstance(manifest, dict) or manifest.get("sha256") != _digest(manifest):
            raise LayerclaimsError(f"{shown(path)} is damaged; delete it to capture again.")
        if manifest["schema_version"] != SCHEMA_VERSION:
            raise LayerclaimsError(
                f"{shown(path)} has schema version {manifest['schema_version']}, not {SCHEMA_VERSION}; "
                "delete the directory to capture again."
            )
        for shard in manifest["shards"]:
            file = directory / shard["name"]
            if not file.is_file() or file.stat().st_size != shard["bytes"]:
                raise LayerclaimsError(f"{shown(file)} is missing or cut off; capture again.")
        return cls(directory, manifest)

    def verify(self) -> list[str]:
        """Read every byte; the names of damaged or missing files, empty when the store is sound."""
        bad = []
        for shard in self.manifest["shards"]:
            try:
                sound = sha256_file(self.directory / shard["name"]) == shard["sha256"]
            except OSError:
                sound = False
            if not sound:
                bad.append(str(shard["name"]))
        return bad

    def state(self, i: int, documents: slice | NDArray[np.intp] | None = None) -> NDArray[np.float32]:
        """State i of all documents or of some: float32 [documents, positions, hidden], a C-contiguous copy.

        Documents come in the order asked for; unasked, in storage order. Raises IndexError for a state or a
        document that is not there.
        """
        wanted = np.arange(self.n_documents)
        if documents is not None:
            wanted = wanted[documents]
        out = np.empty((len(wanted), self.n_positions, self.hidden_size), dtype=np.float32)
        start = 0
        for shard in self._shards(i):
            stop = start + shard.shape[1]
            if documents is None:
                out[start:stop] = _upcast(shard[i])
            else:
                rows = np.flatnonzero((wanted >= start) & (wanted < stop))
                if len(rows):
                    out[rows] = _upcast(shard[i, wanted[rows] - start])
            start = stop
        return out

    def blocks(self, states: Sequence[int]) -> Iterator[Iterator[NDArray[np.float32]]]:
        """Some states shard by shard, in storage order, so that the disk is read from front to back.

        Of each shard the states in the order asked for, float32 [documents of the shard, positions, hidden]: views
        of the mapped file, or copies where it has another dtype. IndexError for a state that is not there.
        """
        for shard in self._shards(*states):
            yield map(_upcast, map(shard.__getitem__, states))

    def _shards(self, *states: int) -> Iterator[NDArray[Any]]:
        """Each shard as it lies on disk, [n_states, documents, positions, hidden], mapped while it is looked at.

        Pages that are not read are not touched. IndexError unless all `states` are there.
        """
        for i in states:
            if not 0 <= i < self.n_states:
                raise IndexError(f"state {i} is not among the {self.n_states} states 0..{self.n_states - 1}")
        for shard in self.manifest["shards"]:
            shape = (self.n_states, int(shard["documents"]), self.n_positions, self.hidden_size)
            path = self.directory / shard["name"]
            offset = data_offset(path, self._code, shape)
            yield np.memmap(path, dtype=self._numpy, mode="r", offset=offset, shape=shape)


def _upcast(values: NDArray[Any]) -> NDArray[np.float32]:
    if values.dtype == np.uint16:  # bfloat16 is the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(values, dtype=np.float32)


def shard_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """What a safetensors file of one tensor begins with; the data follow, in storage order.

    Byte for byte the library's, which would copy the data twice. data_offset explains the form.
    """
    code, numpy = DTYPES[dtype]
    size = int(np.prod(shape)) * np.dtype(numpy).itemsize
    content = {TENSOR: {"dtype": code, "shape": shape, "data_offsets": [0, size]}}
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
