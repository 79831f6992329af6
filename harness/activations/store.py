"""States on disk: shards, manifest and checksums; reading maps one shard at a time."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from layerclaims.activations.shards import check_shard, damage, data_offset, shard_name, upcast
from layerclaims.errors import LayerclaimsError
from layerclaims.models.facts import ModelFacts
from layerclaims.runtime.dtypes import DTYPES
from layerclaims.runtime.files import read_file, sha256_lines, write_whole
from layerclaims.runtime.paths import MANIFEST, key_name
from layerclaims.runtime.text import shown
from numpy.typing import NDArray

STORE_VERSION: Final = 3


class ActivationStore:
    """The states of one model on the documents of one corpus.

    State 0 is the embedding output, state i (1..L) the raw residual stream after block i, state `final` = L+1
    the output of the final norm. Nothing is kept in memory between calls.

    A store is the one that its manifest's key says, whatever its directory is called: a copy under another name is
    read like the first. Its shards say that they belong to this key and under which name. The first look at a shard
    in a process reads all its bytes and holds them against their checksum; every number comes from bytes that were
    checked so.
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
        self.key = key_name(manifest["key"])
        self._dtype = DTYPES[manifest["dtype"]]

    @cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of what numbers are made of: the checksums of all shards, the documents' places."""
        shards = (str(shard["sha256"]) for shard in self.manifest["shards"])
        return sha256_lines([self.key, *shards, *map(str, self.document_ids)])

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open a finished store; checks the manifest's checksum and that every shard has its size.

        Raises LayerclaimsError when there is none, or it is damaged. A shard's bytes are checked when they are first
        read, or all at once by verify().
        """
        path = directory / MANIFEST
        try:
            manifest = json.loads(read_file(path))
        except FileNotFoundError as error:
            raise LayerclaimsError(
                f"There is no finished store of states in {shown(directory)}; capture it first."
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            raise LayerclaimsError(f"{shown(path)} is damaged; delete it to capture again.") from error
        if not isinstance(manifest, dict) or manifest.get("sha256") != _digest(manifest):
            raise LayerclaimsError(f"{shown(path)} is damaged; delete it to capture again.")
        if manifest["schema_version"] != STORE_VERSION:
            raise LayerclaimsError(
                f"{shown(path)} has schema version {manifest['schema_version']}, not {STORE_VERSION}; "
                "delete the directory to capture again."
            )
        if [shard["name"] for shard in manifest["shards"]] != list(
            map(shard_name, range(len(manifest["shards"])))
        ):
            raise LayerclaimsError(f"{shown(path)} is damaged; delete it to capture again.")
        for shard in manifest["shards"]:
            file = directory / shard["name"]
            if not file.is_file() or file.stat().st_size != shard["bytes"]:
                raise LayerclaimsError(f"{shown(file)} is missing or cut off; capture again.")
        return cls(directory, manifest)

    def verify(self) -> dict[str, str]:
        """Read every byte; what is wrong with which file, empty when the store is sound."""
        found = {
            str(shard["name"]): damage(self.directory / shard["name"], shard, self.key)
            for shard in self.manifest["shards"]
        }
        return {name: why for name, why in found.items() if why}

    def state(self, i: int, documents: slice | NDArray[np.intp] | None = None) -> NDArray[np.float32]:
        """State i of all documents or of some: float32 [documents, positions, hidden], a C-contiguous copy.

        Documents come in the order asked for; unasked, in storage order. Raises IndexError for a state or a
        document that is not there, DamagedStatesError for a shard that is not what was written.
        """
        wanted = np.arange(self.n_documents)
        if documents is not None:
            wanted = wanted[documents]
        out = np.empty((len(wanted), self.n_positions, self.hidden_size), dtype=np.float32)
        start = 0
        for shard in self._shards(i):
            stop = start + shard.shape[1]
            if documents is None:
                out[start:stop] = upcast(shard[i])
            else:
                rows = np.flatnonzero((wanted >= start) & (wanted < stop))
                if len(rows):
                    out[rows] = upcast(shard[i, wanted[rows] - start])
            start = stop
        return out

    def blocks(self, states: Sequence[int]) -> Iterator[Iterator[NDArray[np.float32]]]:
        """Some states shard by shard, in storage order, so that the disk is read from front to back.

        Of each shard the states in the order asked for, float32 [documents of the shard, positions, hidden]: views
        of the mapped file, or copies where it has another dtype. Raises as `state`.
        """
        for shard in self._shards(*states):
            yield map(upcast, map(shard.__getitem__, states))

    def _shards(self, *states: int) -> Iterator[NDArray[Any]]:
        """Each shard as it lies on disk, [n_states, documents, positions, hidden], mapped while it is looked at.

        The first time all its pages are read; later those that are looked at. IndexError unless all `states` are there.
        """
        for i in states:
            if not 0 <= i < self.n_states:
                raise IndexError(f"state {i} is not among the {self.n_states} states 0..{self.n_states - 1}")
        for shard in self.manifest["shards"]:
            shape = (self.n_states, int(shard["documents"]), self.n_positions, self.hidden_size)
            path = self.directory / shard["name"]
            check_shard(path, shard, self.key)
            offset = data_offset(path, self._dtype.code, shape)
            yield np.memmap(path, dtype=self._dtype.numpy, mode="r", offset=offset, shape=shape)


def write_manifest(directory: Path, content: Mapping[str, Any]) -> None:
    """Commit a store: the manifest comes last, and carries a checksum of itself."""
    text = json.dumps({**content, "sha256": _digest(content)}, separators=(",", ":"), allow_nan=False)
    write_whole(directory / MANIFEST, text.encode() + b"\n")


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(
        {k: v for k, v in content.items() if k != "sha256"}, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()
