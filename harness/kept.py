"""Measurements kept on disk: computed once, by one process, and read by all that ask for the same."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.files import check_writable, locked, write_whole


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Named arrays and plain facts."""

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]  # plain JSON types


class Kept:
    """The measurements of one study, a file each; what is damaged is computed again."""

    def __init__(self, directory: Path) -> None:
        """Use `directory`, which is made when the first measurement is."""
        self._directory = directory
        self._read: dict[str, Measurement] = {}

    def get(self, name: str, compute: Callable[[], Measurement]) -> Measurement:
        """The measurement `name`, from memory, from disk, or computed now and written."""
        if name not in self._read:
            path = self._directory / f"{name}.safetensors"
            found = load(path)
            if found is None:
                check_writable(self._directory, "--cache-dir")
                with locked(self._directory / f".{name}.lock"):
                    found = load(path)  # another process was quicker
                    if found is None:
                        found = compute()
                        _save(path, found)
            self._read[name] = found
        return self._read[name]


def _save(path: Path, measurement: Measurement) -> None:
    from safetensors.numpy import save

    # safetensors writes a numpy array's memory as it lies: only C order is what its header says
    arrays = {name: np.ascontiguousarray(array) for name, array in measurement.arrays.items()}
    facts = json.dumps(measurement.facts, allow_nan=False, sort_keys=True)
    write_whole(path, save(arrays, metadata={"facts": facts, "sha256": _digest(arrays, facts)}))


def load(path: Path) -> Measurement | None:
    """A measurement's file; None where it is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata()
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
        if metadata["sha256"] != _digest(arrays, metadata["facts"]):  # a flipped bit loads all the same
            return None
        return Measurement(arrays=arrays, facts=json.loads(metadata["facts"]))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def _digest(arrays: Mapping[str, NDArray[Any]], facts: str) -> str:
    digest = hashlib.sha256(facts.encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
